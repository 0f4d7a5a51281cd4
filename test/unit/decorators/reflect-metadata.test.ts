import 'reflect-metadata';

import { describe, expect, it } from 'vitest';

import { methodDecorator } from '../../../src/decorators/method-decorator.js';
import { flavour, type AnyDecorator } from './flavour.js';

const Wrapped = methodDecorator('@Wrapped()', (method) => {
  return function (this: unknown, ...args: unknown[]) {
    return method.apply(this, args);
  };
}) as AnyDecorator;

/** Metadata on the method's function, as NestJS keeps it. */
const OnFunction = (key: string, value: unknown): AnyDecorator => {
  return (target: object, _key: unknown, descriptor?: PropertyDescriptor) => {
    Reflect.defineMetadata(key, value, flavour === 'standard' ? target : (descriptor!.value as object));
  };
};

describe(`a method decorator with reflect-metadata loaded, compiled to the ${flavour} flavour`, () => {
  it('keeps what decorators below and above it recorded on the function', () => {
    class Controller {
      @OnFunction('path', '/above')
      @Wrapped
      @OnFunction('guards', ['below'])
      method() {}
    }
    const method = Controller.prototype.method;
    expect(Reflect.getOwnMetadataKeys(method).sort()).toEqual(['guards', 'path']);
    expect(Reflect.getMetadata('path', method)).toBe('/above');
    expect(Reflect.getMetadata('guards', method)).toEqual(['below']);
  });

  it('is needed for that: a plain wrapper loses what was recorded below it', () => {
    const Plain: AnyDecorator = (target: () => unknown, _key: unknown, descriptor?: PropertyDescriptor) => {
      if (!descriptor) return () => target();
      const original = descriptor.value as () => unknown;
      descriptor.value = () => original();
      return descriptor;
    };
    class Controller {
      @Plain
      @OnFunction('guards', ['below'])
      method() {}
    }
    expect(Reflect.getOwnMetadataKeys(Controller.prototype.method)).toEqual([]);
  });

  it('replaces the method even for a helper that ignores what a decorator returns', () => {
    const Twice = methodDecorator('@Twice()', (method) => (...args) => [
      method(...args),
      method(...args),
    ]) as AnyDecorator;
    const Combined: AnyDecorator = (target: unknown, key: unknown, descriptor?: PropertyDescriptor) => {
      const returned: unknown = Twice(target, key, descriptor);
      // Under the standard flavour there is nothing but the returned function.
      return flavour === 'standard' ? returned : undefined;
    };
    class Controller {
      @Combined
      method(): unknown {
        return 'once';
      }
    }
    expect(new Controller().method()).toEqual(['once', 'once']);
  });
});
