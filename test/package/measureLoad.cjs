// Prints how many milliseconds it takes to load the package in a folder and to make each of its classes,
// n8n-workflow being there already as it is in n8n.
const { performance } = require('node:perf_hooks');
require('n8n-workflow');

const startedAt = performance.now();
for (const PackageClass of Object.values(require(process.argv[2]))) new PackageClass();
process.stdout.write(String(performance.now() - startedAt));
