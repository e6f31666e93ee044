// Prints as JSON which files of the package in a folder are loaded once each of its classes is made.
const path = require('node:path');

const folder = require('node:fs').realpathSync(process.argv[2]);
for (const PackageClass of Object.values(require(folder))) new PackageClass();
const loaded = Object.keys(require.cache)
	.filter((file) => file.startsWith(folder + path.sep))
	.map((file) => path.relative(folder, file).replaceAll(path.sep, '/'));
process.stdout.write(JSON.stringify(loaded));
