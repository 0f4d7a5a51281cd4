module.exports = { externalsType: 'commonjs', externals: [/^semlock/] };
