// What the compiler makes of decorators under experimentalDecorators, for tests that are compiled to the standard flavour.

type Class = new (...args: never[]) => object;

/** Applies decorators to a method, the last one first, and to its parameters. */
export function decorate(
  target: Class,
  method: string,
  decorators: readonly MethodDecorator[],
  parameters: readonly ParameterDecorator[] = [],
): void {
  const prototype = target.prototype as object;
  for (const [index, decorator] of parameters.entries()) decorator(prototype, method, index);
  let descriptor = Object.getOwnPropertyDescriptor(prototype, method)!;
  for (const decorator of decorators.toReversed()) {
    descriptor = (decorator(prototype, method, descriptor) as PropertyDescriptor | undefined) ?? descriptor;
  }
  Object.defineProperty(prototype, method, descriptor);
}
