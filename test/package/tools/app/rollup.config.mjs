import commonjs from '@rollup/plugin-commonjs';
import { nodeResolve } from '@rollup/plugin-node-resolve';

export default {
  input: 'main.mjs',
  plugins: [nodeResolve({ preferBuiltins: true }), commonjs()],
};
