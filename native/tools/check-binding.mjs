// Finds in the binding what ends the process when it is called in an environment that ends: node-addon-api answers many
// a failed status with napi_fatal_error(), or goes on with a value that is not there. What is not on the list of what
// was looked at (node-addon-api 8.9) is refused. Part of `npm run check:lint`.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Their constructors and `New` hand on an empty value, and their `Set` hands on false. */
const HARMLESS = ['Env', 'Object', 'Array', 'String', 'Number', 'Boolean'];

const REFUSED = [
  [/\bNapi::(\w+)/g, (name) => !HARMLESS.includes(name), 'may abort; harmless are ' + HARMLESS.join(', ')],
  [/\.(To(?:Number|Boolean|String|Object))\(/g, () => true, 'goes on with a value that is not there; use Args'],
  [/\.((?:Int32|Uint32|Int64|Double|Utf8|Utf16)Value)\(/g, () => true, 'goes on with a value that is not there; use Args'],
  [/\b(?:exports|object|array)(\[)/g, () => true, 'cannot say that it failed; use Set()'],
  [/\b((?:Set|Get)InstanceData|ThrowAsJavaScriptException|Fatal|Unwrap)\b/g, () => true, 'may abort'],
  [/\b(napi_fatal_error|abort|terminate|quick_exit|_?[Ee]xit|assert|NAPI_\w*FATAL\w*|NAPI_CHECK|CHECK)\(/g, () => true, 'aborts'],
  [/\b(napi_coerce_to_\w+)/g, () => true, 'runs JavaScript; read the argument as it is'],
  [/#include\s+<(napi|node_api|js_native_api)\.h>/g, () => true, 'belongs into binding.h, behind its macro'],
]; // prettier-ignore

const MACRO = '#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS\n#include <napi.h>\n';

/**
 * What is refused in the source of a file of the binding, as texts with the line and the reason.
 *
 * @param {string} file
 * @param {string} source
 */
export function abortingCalls(file, source) {
  const code = source.replace(MACRO, '\n\n').replace(/\/\/.*/g, '');
  return REFUSED.flatMap(([pattern, isRefused, reason]) =>
    [...code.matchAll(pattern)]
      .filter(([, name]) => isRefused(name))
      .map(({ 0: found, index }) => `${file}:${code.slice(0, index).split('\n').length}: ${found.trim()} ${reason}`),
  );
}

if (process.argv[1] === import.meta.filename) {
  const folder = join(import.meta.dirname, '../binding');
  const found = readdirSync(folder).flatMap((file) => abortingCalls(file, readFileSync(join(folder, file), 'utf8')));
  for (const each of found) console.error(`native/binding/${each}`);
  process.exitCode = found.length > 0 ? 1 : 0;
}
