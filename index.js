const { n8n } = require('./package.json');

// n8n loads the files listed in package.json by itself. For everybody else this is the package's entry:
// the same classes by name.
for (const file of [...n8n.nodes, ...n8n.credentials]) {
	Object.assign(module.exports, require(`./${file}`));
}
