// Prints as JSON what n8n gets to know of the package in a folder. A process of its own, because
// n8n-core leaves out the isolated context it loads nodes in as soon as it finds itself in a test.
require('reflect-metadata');
const { PackageDirectoryLoader } = require('n8n-core');

const loader = new PackageDirectoryLoader(process.argv[2]);
loader.loadAll().then(() => process.stdout.write(JSON.stringify({ known: loader.known })));
