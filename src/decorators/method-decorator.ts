// Decorators exist in two flavours: the standard ones of ECMAScript, and the older ones that frameworks still build on
// (TypeScript's experimentalDecorators). This makes one function that serves as both, and a replacement that nobody
// can tell from the method by its looks.

/** A method as the wrapping sees it: what it takes and gives is its class's matter. */
export type Method = (this: unknown, ...args: unknown[]) => unknown;

/**
 * A decorator of both flavours for methods that belong to an `Owner`, whose first parameters accept `Leading`, and
 * that give a `Result`. Its type returns nothing, so that TypeScript leaves the method's own type alone, generics and
 * overloads included.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- `any` accepts whatever further parameters there are.
export interface DualMethodDecorator<Owner, Leading extends unknown[], Result, Rest extends unknown[] = any[]> {
  /** The standard flavour. */
  <This extends Owner, Args extends [...Leading, ...Rest], Given extends Result>(
    method: (this: This, ...args: Args) => Given,
    context: ClassMethodDecoratorContext<This, (this: This, ...args: Args) => Given>,
  ): void;
  /** The flavour of `experimentalDecorators`. */
  <Target extends Owner>(
    target: Target, // If this were an Owner, TypeScript would infer the Owner from what the decorator stands on.
    key: string | symbol,
    // Not a TypedPropertyDescriptor, whose setter would refuse generic methods.
    descriptor: { value?: (...args: [...Leading, ...Rest]) => Result },
  ): void;
}

/**
 * Makes the decorator that replaces a method by `wrap(method)`. The replacement takes over the method's name, length,
 * other own properties and Reflect metadata, because frameworks read all of these from the function they find.
 *
 * @param label - opens the message of an error, for example `@Locked()`.
 * @throws from the decorator: `TypeError` when what it stands on is not a method.
 */
export function methodDecorator(label: string, wrap: (method: Method) => Method) {
  const replace = (method: Method): Method => disguise(wrap(method), method);

  return (target: unknown, second: unknown, descriptor?: unknown): unknown => {
    if (isStandardContext(second)) {
      if (second.kind !== 'method') throw notAMethod(label, second.kind, second.name);
      return replace(target as Method);
    }
    const key = second as string | symbol | undefined;
    if (!isMethodDescriptor(descriptor)) throw notAMethod(label, legacyKind(key, descriptor), key);
    // Changed in place as well as returned: helpers that combine decorators, such as applyDecorators() of NestJS, pass
    // the descriptor on and ignore what a decorator returns.
    descriptor.value = replace(descriptor.value);
    return descriptor;
  };
}

function isStandardContext(value: unknown): value is { kind: string; name: string | symbol } {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

function isMethodDescriptor(value: unknown): value is { value: Method } {
  return typeof (value as { value?: unknown } | null | undefined)?.value === 'function';
}

function legacyKind(key: unknown, descriptor: unknown): string {
  if (typeof descriptor === 'number') return 'parameter';
  if (key === undefined) return 'class';
  return typeof descriptor === 'object' && descriptor !== null && 'get' in descriptor ? 'accessor' : 'field';
}

function notAMethod(label: string, kind: string, name: string | symbol | undefined): TypeError {
  const what = name === undefined ? `a ${kind}` : `the ${kind} ${String(name)}`;
  return new TypeError(`${label} belongs on a method, but it stands on ${what}`);
}

/** Gives `replacement` the looks of `original`. */
function disguise(replacement: Method, original: Method): Method {
  Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(original));
  const reflect = Reflect as Partial<ReflectMetadata>;
  for (const key of reflect.getOwnMetadataKeys?.(original) ?? []) {
    reflect.defineMetadata?.(key, reflect.getOwnMetadata?.(key, original), replacement);
  }
  return replacement;
}

/** What the package reflect-metadata adds to `Reflect`, in a program that has loaded it. */
interface ReflectMetadata {
  readonly getOwnMetadataKeys: (target: object) => unknown[];
  readonly getOwnMetadata: (key: unknown, target: object) => unknown;
  readonly defineMetadata: (key: unknown, value: unknown, target: object) => void;
}
