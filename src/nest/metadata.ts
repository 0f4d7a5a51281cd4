// What NestJS reads from classes and methods, under the keys that it has for it (NestJS 11 and 12). Written here as its own
// decorators do, so that semlock need not import NestJS, whose versions an app chooses.

/** What the package reflect-metadata adds to `Reflect`, which NestJS loads. */
const reflect = Reflect as unknown as {
  getMetadata?(key: string, target: object): unknown;
  defineMetadata(key: string, value: unknown, target: object): void;
};

type Class = new (...args: never[]) => object;

function append(key: string, value: unknown, target: object): void {
  const before = (reflect.getMetadata?.(key, target) ?? []) as unknown[];
  reflect.defineMetadata(key, [...before, value], target);
}

/** As `@UseInterceptors(interceptor)` on a method or a class. */
export function useInterceptor(interceptor: Class, target: object): void {
  append('__interceptors__', interceptor, target);
}

/** As `@Inject(type)` at the first parameter of the constructor. */
export function injectFirst(type: Class, target: Class): void {
  append('self:paramtypes', { index: 0, param: type }, target);
}

/** As `@Inject(type)` on a property of a class. */
export function injectProperty(key: symbol, type: Class, target: Class): void {
  const before = (reflect.getMetadata?.('self:properties_metadata', target) ?? []) as { key: unknown }[];
  if (!before.some((property) => property.key === key)) append('self:properties_metadata', { key, type }, target);
}
