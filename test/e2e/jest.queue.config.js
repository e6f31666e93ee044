/** Run by scripts/e2e.ts --queue: what may be otherwise where n8n has a worker. */
module.exports = {
	...require('./jest.config.js'),
	testMatch: ['**/*.queue.ts', '**/{mcp,retry,stop}.e2e.ts'],
};
