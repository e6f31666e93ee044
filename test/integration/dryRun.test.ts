import type { INodeExecutionData } from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import type { EngineOptions, EngineResult } from '../support/engine';
import { useScene } from '../support/scene';

const scene = useScene();

async function generate(
	parameters: EngineOptions['parameters'],
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const result = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'A lighthouse', ...parameters },
		...more,
	});
	expect(result.error).toBeUndefined();
	return result;
}

function numbered(count: number): INodeExecutionData[] {
	return Array.from({ length: count }, (_, n) => ({ json: { n } }));
}

it('a dry run says where the limit of jobs would refuse the run', async () => {
	const options = { dryRun: true, maxJobsPerExecution: 2 };
	const { hints } = await generate({ options }, { items: numbered(3) });
	expect(hints[0]?.message).toContain('more than the 2 that "Max Jobs per Execution" allows');
});

it('a dry run needs no usable credential', async () => {
	const { items, error } = await scene.run({
		node: 'imageGenerate',
		credential: { baseUrl: 'http://not.this.machine' },
		parameters: { prompt: '={{ $json.prompt }}', options: { dryRun: true } },
		items: [{ json: { prompt: '' } }, { json: { prompt: 'p' } }],
		nodeSettings: { onError: 'continueRegularOutput' },
	});
	expect(error).toBeUndefined();
	expect(items.map(({ json }) => json.error ?? json.dry_run)).toEqual([
		expect.objectContaining({ message: 'The "Prompt" parameter is empty [Item 0]' }),
		true,
	]);
});

it('a dry run checks everything, sends nothing, and says what would be sent', async () => {
	const picture = tinyPicture('x', 'gif');
	const { items, hints, saved } = await generate(
		{
			prompt: '={{ $json.n }}',
			aiModel: 'Nano Banana 2',
			referenceImages: 'all',
			options: { dryRun: true },
		},
		{
			items: numbered(2).map((item) => ({
				...item,
				binary: {
					photo: {
						data: picture.toString('base64'),
						mimeType: 'text/plain',
						fileName: 'dir/a.gif',
					},
				},
			})),
			// Nothing listens there.
			credential: { baseUrl: 'http://127.0.0.1:9' },
		},
	);
	expect(items).toEqual(
		[0, 1].map((n) => ({
			json: {
				dry_run: true,
				prompt: String(n),
				ai_model: 'Nano Banana 2',
				files: {
					ref_images: [
						{
							field: 'photo',
							file_name: 'a.gif',
							mime_type: 'image/gif',
							bytes: picture.length,
						},
					],
				},
			},
			pairedItem: { item: n },
		})),
	);
	expect(scene.emulator.requests).toEqual([]);
	expect(hints.map(({ message }) => message)).toEqual([
		'Dry run: 2 jobs would be started (2 × Nano Banana 2). Nothing was sent and nothing was charged. Turn off "Dry Run" under Options to start the jobs.',
	]);
	expect(JSON.stringify(saved.executionData?.contextData)).not.toContain('guard');
});

it('a dry run of one item leaves the others to be sent', async () => {
	const { items } = await generate(
		{ prompt: '={{ $json.n }}', options: { dryRun: '={{ $json.n === 1 }}' } },
		{ items: numbered(3) },
	);
	expect(scene.emulator.submits.map(({ fields }) => fields.prompt).sort()).toEqual(['0', '2']);
	expect(items.map(({ json }) => json.dry_run ?? json.image_number)).toEqual([1, true, 1]);
});

it('a dry run says which items cannot be sent, beside the others', async () => {
	const { items } = await generate(
		{ prompt: '={{ $json.n || "" }}', options: { dryRun: true } },
		{ items: numbered(3), nodeSettings: { onError: 'continueRegularOutput' } },
	);
	expect(scene.emulator.requests).toEqual([]);
	expect(items.map(({ json }) => Object.keys(json)[0])).toEqual(['error', 'dry_run', 'dry_run']);
});
