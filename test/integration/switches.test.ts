import type { INodeParameters } from 'n8n-workflow';

import { useScene } from '../support/scene';

// The parameters that keep money safe: one that is not understood must not count as either value.

const scene = useScene({ jobDurationMs: 0 });

async function generate(parameters: INodeParameters) {
	return await scene.run({ node: 'imageGenerate', parameters: { prompt: 'p', ...parameters } });
}

it.each(['={{ true }}', '={{ "true" }}', '={{ "TRUE" }}', 'true'])(
	'Dry Run given as %s spends nothing',
	async (dryRun) => {
		const { items, error } = await generate({ options: { dryRun } });
		expect(error).toBeUndefined();
		expect(items.map(({ json }) => json.dry_run)).toEqual([true]);
		expect(scene.emulator.requests).toEqual([]);
	},
);

it('Dry Run given as the word false starts the job', async () => {
	const { error } = await generate({ options: { dryRun: '={{ "False" }}' } });
	expect(error).toBeUndefined();
	expect(scene.emulator.submits).toHaveLength(1);
});

it.each<[string, string, (value: string) => INodeParameters]>([
	...['1', '0', '"yes"', '""', '[]', '({})', 'null', 'undefined'].map(
		(value): [string, string, (written: string) => INodeParameters] => [
			'Dry Run',
			value,
			(dryRun) => ({ options: { dryRun } }),
		],
	),
	['Resubmit If Unknown', '1', (given) => ({ options: { resubmitIfUnknown: given } })],
	['Wait for Completion', '0', (waitForCompletion) => ({ waitForCompletion })],
	['Wait for Completion', 'undefined', (waitForCompletion) => ({ waitForCompletion })],
	['Download Images', '"no"', (downloadImages) => ({ downloadImages })],
	['Download Images', 'null', (downloadImages) => ({ downloadImages })],
])('%s is refused when its expression returns %s', async (label, value, parameters) => {
	const { error } = await generate(parameters(`={{ ${value} }}`));
	expect(error?.message).toBe(`"${label}" must be true or false`);
	expect(error?.description).toMatch(
		/^Its value is .* No job was started, and nothing was charged\.$/,
	);
	expect(scene.emulator.requests).toEqual([]);
});

it('Wait for Completion given as the word false returns the job ID at once', async () => {
	const { items } = await generate({ waitForCompletion: '={{ "false" }}' });
	expect(items[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), status: 'Pending' });
	expect(scene.polls()).toEqual([]);
});

it('Download Images given as the word false leaves the images where they are', async () => {
	const { items } = await generate({ downloadImages: '={{ "false" }}' });
	expect(items[0]?.json.status).toBe('Succeed');
	expect(items[0]).not.toHaveProperty('binary');
	expect(scene.downloads()).toEqual([]);
});

it.each([
	'false',
	'[]',
	'({})',
	'""',
	'null',
	'undefined',
	'" 0x10 "',
	'"1e3"',
	'-1',
	'0.5',
	'NaN',
])('Max Jobs per Execution is refused when its expression returns %s', async (value) => {
	const { error } = await generate({ options: { maxJobsPerExecution: `={{ ${value} }}` } });
	expect(error?.message).toBe('"Max Jobs per Execution" must be a whole number of at least 0');
	expect(scene.emulator.requests).toEqual([]);
});
