import { asTest, simulate } from './simulate';

const DAYS = Number(process.env.SIMULATED_DAYS ?? 300);
const SEED = Number(process.env.SIMULATED_SEED ?? 20261129);
const LONGEST_MS = 600_000;

// n8n-core writes a settings file when it is first used, which takes no time of any day.
jest.setTimeout(LONGEST_MS);

it(`keeps every rule on ${DAYS} random days`, async () => {
	const failures: string[] = [];
	await simulate({
		days: DAYS,
		seed: SEED,
		onFinding: (finding) => failures.push(asTest(finding)) > 2,
	});
	expect(failures.join('\n\n')).toBe('');
});
