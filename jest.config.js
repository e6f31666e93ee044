/** @type {import('jest').Config} */
module.exports = {
	testEnvironment: 'node',
	// jest leaves a core free; with two cores that would be half of them.
	maxWorkers: '100%',
	// Ample for a busy machine: what these tests wait for is virtual.
	testTimeout: 30_000,
	// Coverage sees only what is under a root: nodes and credentials count also where no test loads them.
	roots: ['<rootDir>/nodes', '<rootDir>/credentials', '<rootDir>/test'],
	testMatch: ['**/*.test.ts'],
	testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/e2e/'],
	modulePathIgnorePatterns: ['<rootDir>/test/e2e/n8n-', '<rootDir>/dist/'],
	transform: {
		'^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/test/tsconfig.json' }],
	},
	collectCoverageFrom: ['nodes/**/*.ts', 'credentials/**/*.ts'],
	coverageReporters: ['text', 'lcov'],
};
