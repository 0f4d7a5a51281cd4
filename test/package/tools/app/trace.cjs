const { nodeFileTrace } = require('@vercel/nft');

nodeFileTrace(process.argv.slice(2)).then(({ fileList }) => console.log([...fileList].join('\n')));
