import { describe, expect, it } from 'vitest';

import { methodDecorator } from '../../../src/decorators/method-decorator.js';
import { flavour, type AnyDecorator } from './flavour.js';

/** Puts its note around the result, so that the order of wrappers shows. */
const Note = (note: string) =>
  methodDecorator('@Note()', (method) => {
    return function (this: unknown, ...args: unknown[]) {
      return `${note}(${String(method.apply(this, args))})`;
    };
  }) as AnyDecorator;

/** A framework's decorator, as it works in the flavour at hand: it looks at the method and leaves it alone. */
function looksAtMethod(look: (method: object) => void): AnyDecorator {
  return (target: object, key: unknown, descriptor?: PropertyDescriptor) => {
    look(flavour === 'standard' ? target : descriptor!.value);
  };
}

describe(`a method decorator, compiled to the ${flavour} flavour`, () => {
  it('is called the way that flavour calls decorators', () => {
    const calls: unknown[][] = [];
    const Record: AnyDecorator = (...args) => {
      calls.push(args);
    };
    class Probe {
      @Record
      method() {}
    }
    expect(Probe).toBeDefined();
    expect(calls[0]).toHaveLength(flavour === 'standard' ? 2 : 3);
  });

  it('wraps instance, static and symbol-named methods and keeps their this', () => {
    const symbol = Symbol('named');
    class Greeter {
      static greeting = 'Hail';
      greeting = 'Hello';
      @Note('a')
      greet(name: string) {
        return `${this.greeting} ${name}`;
      }
      @Note('b')
      static greet(name: string) {
        return `${this.greeting} ${name}`;
      }
      @Note('c')
      [symbol]() {
        return this.greeting;
      }
    }
    const greeter = new Greeter();
    expect(greeter.greet('Ada')).toBe('a(Hello Ada)');
    expect(Greeter.greet('Ada')).toBe('b(Hail Ada)');
    expect(greeter[symbol]()).toBe('c(Hello)');
    expect(Reflect.ownKeys(greeter)).toEqual(['greeting']);
  });

  it('stacks, the upper one outside', () => {
    class Stacked {
      @Note('upper')
      @Note('lower')
      method() {
        return 'method';
      }
    }
    expect(new Stacked().method()).toBe('upper(lower(method))');
  });

  it('is inherited, and an overriding method reaches the wrapped one by super', () => {
    class Base {
      @Note('base')
      method() {
        return 'work';
      }
    }
    class Derived extends Base {
      override method() {
        return `derived ${super.method()}`;
      }
    }
    expect(new Derived().method()).toBe('derived base(work)');
  });

  it('keeps the name, the length and the enumerability of the method', () => {
    class Named {
      @Note('x')
      add(one: number, two: number) {
        return one + two;
      }
    }
    const { value, enumerable } = Object.getOwnPropertyDescriptor(Named.prototype, 'add')!;
    expect([value.name, value.length, enumerable]).toEqual(['add', 2, false]);
  });

  it('keeps what decorators below it put on the method, and what decorators above it put there stays', () => {
    const Route = (path: string) => looksAtMethod((method) => Object.assign(method, { [path]: path }));
    class Controller {
      @Route('/above')
      @Note('x')
      @Route('/below')
      method() {
        return 'work';
      }
    }
    expect(Object.keys(Controller.prototype.method).sort()).toEqual(['/above', '/below']);
  });
});

describe(`on anything but a method, compiled to the ${flavour} flavour, it throws a TypeError`, () => {
  const Misplaced = Note('x');

  it('on a class', () => {
    const define = () => {
      @Misplaced
      class Target {}
      return Target;
    };
    expect(define).toThrow(
      new TypeError(
        '@Note() belongs on a method, but it stands on ' + (flavour === 'standard' ? 'the class Target' : 'a class'),
      ),
    );
  });

  it('on a field, even one that holds a function', () => {
    const define = () => {
      class Target {
        @Misplaced
        field = () => 'work';
      }
      return Target;
    };
    expect(define).toThrow(new TypeError('@Note() belongs on a method, but it stands on the field field'));
  });

  it('on a getter', () => {
    const define = () => {
      class Target {
        @Misplaced
        get size() {
          return 1;
        }
      }
      return Target;
    };
    expect(define).toThrow(TypeError);
    expect(define).toThrow(flavour === 'standard' ? 'the getter size' : 'the accessor size');
  });

  it('on a setter', () => {
    const define = () => {
      class Target {
        @Misplaced
        set size(_value: number) {}
      }
      return Target;
    };
    expect(define).toThrow(TypeError);
    expect(define).toThrow(flavour === 'standard' ? 'the setter size' : 'the accessor size');
  });

  it('on an auto-accessor', () => {
    const define = () => {
      class Target {
        @Misplaced
        accessor size = 1;
      }
      return Target;
    };
    expect(define).toThrow(TypeError);
    expect(define).toThrow('the accessor size');
  });

  it('on a parameter, which only the legacy flavour has', () => {
    expect(() => Misplaced({}, 'method', 0)).toThrow(
      new TypeError('@Note() belongs on a method, but it stands on the parameter method'),
    );
    expect(() => Misplaced(class {}, undefined, 0)).toThrow('a parameter');
  });
});
