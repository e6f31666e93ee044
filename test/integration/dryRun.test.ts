import type { INodeParameters } from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import type { EngineOptions, EngineResult } from '../support/engine';
import { errorOf, hintsOf, jsonOf, numbered, onlyJson, pictures } from '../support/items';
import { CONTINUES, useScene } from '../support/scene';

const scene = useScene({ wish: () => ({ durationMs: Infinity }) });

const NOTHING_SENT =
	'Nothing was sent and nothing was charged. Turn off "Dry Run" under Options to start the jobs.';

/** @param options with the number of images beside them */
async function generate(
	{ jobsPerItem = 1, ...options }: INodeParameters,
	{ parameters, ...more }: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const own = { prompt: '={{ $json.n || "zero" }}', downloadImages: false, jobsPerItem, options };
	return await scene.generate({ ...own, ...parameters }, { mode: 'trigger', ...more });
}

it('checks everything, needs no credential, sends nothing, and says which file would go into which field', async () => {
	const result = await scene.run({
		node: 'sprite',
		parameters: {
			operation: 'characterOverlay',
			characterImagesFields: 'knight,wizard',
			rows: { row: [{ title: 'Idle', description: 'Standing still' }] },
			options: { dryRun: true, additionalFields: '{"seed": 42, "files": "x"}' },
		},
		items: [{ json: {}, binary: pictures('data', 'knight', 'wizard') }],
		// Nothing may be sent there.
		credential: { baseUrl: 'http://not.this.machine' },
	});
	const file = (field: string) => ({
		field,
		file_name: `${field}.png`,
		mime_type: 'image/png',
		bytes: tinyPicture(field, 'png').length,
	});
	expect(onlyJson(result)).toEqual({
		dry_run: true,
		rows: [{ row: 1, title: 'Idle', description: 'Standing still' }],
		resolution: '2K',
		seed: 42,
		files: { sprite_sheet: [file('data')], character_images: [file('knight'), file('wizard')] },
	});
	expect(result.items.map(({ pairedItem }) => pairedItem)).toEqual([{ item: 0 }]);
	expect(hintsOf(result)).toEqual([
		`Dry run: 1 job would be started (1 × Overlay Characters (V1)). ${NOTHING_SENT}`,
	]);
	expect(scene.emulator.requests).toEqual([]);
	expect(JSON.stringify(result.saved.executionData?.contextData)).not.toContain('guard');
});

it('says where the limit of jobs would refuse the run', async () => {
	const options = { dryRun: true, maxJobsPerExecution: 2 };
	const [hint] = hintsOf(await generate(options, { items: numbered(3) }));
	expect(hint).toContain('more than the 2 that "Max Jobs per Execution" allows');
});

it('of some items says which cannot be sent, and leaves the others', async () => {
	const parameters = { prompt: '={{ $json.n || "" }}', waitForCompletion: false };
	const more = { items: numbered(3), parameters, nodeSettings: CONTINUES };
	const given = { jobsPerItem: 2, dryRun: '={{ $json.n !== 2 }}' };
	const { items, ...some } = await generate(given, more);
	expect(errorOf(items[0]).message).toBe('The "Prompt" parameter is empty [Item 0]');
	expect(items.map(({ json }) => json.dry_run)).toEqual([
		...[undefined, true, true, undefined, undefined],
	]);
	expect(hintsOf({ items, ...some })).toEqual([
		expect.stringMatching(/^Dry run: 2 jobs would be started \(2 × GPT Image 1.5\)\./),
		expect.stringContaining('2 jobs started.'),
		expect.anything(),
	]);
	expect(scene.paidPrompts()).toEqual(['2', '2']);
});

it('does not count a request that a retry would not send again', async () => {
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 502, body: '<html></html>' });
	const retryOf = await generate({});
	const dry = { dryRun: true, jobsPerItem: 2 };
	expect(hintsOf(await generate(dry, { retryOf }))[0]).toMatch(
		/^Dry run: 1 job would be started \(1 × GPT Image 1.5\)\. 1 request would not be sent again, because it is not known/,
	);
	const accepted = await generate({ ...dry, resubmitIfUnknown: true }, { retryOf });
	expect(hintsOf(accepted)[0]).toMatch(/^Dry run: 2 jobs would be started/);
});

describe('of a retry', () => {
	async function threePaid(): Promise<EngineResult> {
		const first = await generate({ jobsPerItem: 3, timeout: 2 });
		expect(first.error?.message).toContain('is not finished');
		for (const { jobId } of scene.emulator.submits) scene.emulator.jobs.finish(jobId);
		return first;
	}

	it('says how many jobs would be resumed, sends nothing, and forgets nothing', async () => {
		const retryOf = await threePaid();
		const sent = scene.emulator.requests.length;
		const dry = await generate({ jobsPerItem: 5, dryRun: true }, { retryOf });
		expect(scene.emulator.requests).toHaveLength(sent);
		expect(hintsOf(dry)).toEqual([
			`Dry run: 2 jobs would be started (2 × GPT Image 1.5) and 3 would be resumed, which is free. ${NOTHING_SENT}`,
		]);
		const real = await generate({ jobsPerItem: 3 }, { retryOf: dry });
		expect(hintsOf(real)).toEqual(['0 jobs started, 3 resumed (not charged again).']);
	});

	it.each([{}, CONTINUES])(
		'from the executions list does not use the Retry up: %j',
		async (how) => {
			const retry = { mode: 'retry', executionId: '2' } as const;
			const options = { ...retry, retryOf: await threePaid(), nodeSettings: how };
			const dry = await generate({ jobsPerItem: 3, dryRun: true }, options);
			const said = JSON.stringify([dry.error, dry.items.map(({ json }) => json.error)]);
			expect(said).toMatch(/would use up the Retry/);
			expect(said).toContain(scene.jobIdOf(0));
			const real = await generate({ jobsPerItem: 3 }, { ...retry, retryOf: dry });
			expect(jsonOf(real)).toHaveLength(3);
			expect(scene.emulator.submits).toHaveLength(3);
		},
	);
});
