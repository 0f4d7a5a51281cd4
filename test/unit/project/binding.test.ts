// The check that keeps calls out of the binding which abort the process in an environment that ends.

import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { abortingCalls } from '../../../native/tools/check-binding.mjs';

it.each([
  'info[0].ToNumber()',
  'info[0].ToBoolean()',
  'info[0].ToString()',
  'info[0].ToObject()',
  'value.Int32Value()',
  'text.Utf16Value()',
  'exports["name"] = value;',
  'array[next] = value;',
  'error.ThrowAsJavaScriptException();',
  'Napi::Error::New(env, "text");',
  'Napi::TypeError::New(env, "text");',
  'Napi::Function::New(env, Call);',
  'Napi::HandleScope scope(env);',
  'Napi::ThreadSafeFunction function;',
  'Napi::ObjectReference reference;',
  'Napi::Float64Array::New(env, 2);',
  'env.SetInstanceData(data);',
  'env.GetInstanceData<Data>();',
  'set.Unwrap();',
  'napi_fatal_error("here", 4, "text", 4);',
  'abort();',
  'std::terminate();',
  'assert(value != nullptr);',
  'NAPI_FATAL_IF_FAILED(status, "here", "text");',
  'napi_coerce_to_bool(env, value, &result);',
  '#include <napi.h>',
  '#include <node_api.h>',
])('refuses %s', (code) => {
  expect(abortingCalls('x.cc', `// The first line.\n${code}\n`)).toEqual([expect.stringContaining('x.cc:2: ')]);
});

it('knows that the one include of napi.h stands behind its macro', () => {
  const header = readFileSync(new URL('../../../native/binding/binding.h', import.meta.url), 'utf8');
  expect(abortingCalls('binding.h', header)).toEqual([]);
  expect(abortingCalls('binding.h', header.replace('#define NODE_API_SWALLOW', '#define SWALLOW'))).toHaveLength(1);
});

it.each(['object.Set("pid", Napi::Number::New(env, 1));', 'napi_throw(env, thrown);', '// abort() is refused'])(
  'lets %s pass',
  (code) => expect(abortingCalls('x.cc', code)).toEqual([]),
);
