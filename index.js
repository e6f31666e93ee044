const { n8n } = require('./package.json');

// n8n loads the files listed in package.json by itself. For everybody else this is the package's entry:
// the same classes by name, each loaded on first use, so that importing the package costs nothing.
for (const file of [...n8n.nodes, ...n8n.credentials]) {
	const className = file.slice(file.lastIndexOf('/') + 1).split('.')[0];
	Object.defineProperty(module.exports, className, {
		enumerable: true,
		get: () => require(`./${file}`)[className],
	});
}
