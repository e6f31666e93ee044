/** Run by scripts/e2e.ts --queue: what holds only where n8n has a worker. */
module.exports = {
	...require('./jest.config.js'),
	testMatch: ['**/*.queue.ts'],
};
