// n8n loads the files listed in package.json by itself. For everybody else this is the package's entry:
// the same classes by name.
module.exports = require('./dist/startup');
