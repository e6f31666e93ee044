// What the newest and the oldest n8n both show, the one between need not show again.
const betweenSkips = process.env.E2E_N8N_RELEASE === 'n8n-2.8' ? '(agent|mcp|persistence).e2e' : '';

/** Run by scripts/e2e.ts, which starts the n8n that these tests talk to. */
module.exports = {
	testEnvironment: 'node',
	rootDir: '../..',
	roots: ['<rootDir>/test/e2e'],
	testMatch: ['**/*.e2e.ts'],
	modulePathIgnorePatterns: ['<rootDir>/test/e2e/n8n-', '<rootDir>/dist/'],
	testPathIgnorePatterns: ['/node_modules/', betweenSkips].filter(Boolean),
	transform: {
		'^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/test/tsconfig.json' }],
	},
	// One n8n serves all of them, and a machine may have few cores.
	maxWorkers: 1,
	testTimeout: 60_000,
	verbose: true,
	// It ends with what failed: of a long log only the end may be at hand.
	reporters: [['default', { summaryThreshold: 0 }]],
};
