import { createCanvas } from '@napi-rs/canvas';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INodeParameters } from 'n8n-workflow';
import { openLab, servedSha256, sha256, until, type Lab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import {
	chain,
	everySecond,
	imageGenerate,
	manualTrigger,
	noOp,
	oneItem,
	splitOut,
	webhook,
	withCredential,
	workflow,
	type NodeSettings,
} from './workflow';

let lab: Lab;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await lab.close();
});

/** A run by hand with one input item for each prompt. */
async function generate(
	prompts: string[],
	parameters: INodeParameters = {},
	settings: NodeSettings = {},
): Promise<Execution> {
	const node = imageGenerate({ prompt: '={{ $json.prompt }}', ...parameters }, settings);
	const start = chain(
		manualTrigger(),
		oneItem('Prompts', { prompt: prompts }),
		splitOut('prompt'),
		node,
	);
	const outputs = [
		[node, noOp('Good'), 0],
		[node, noOp('Bad'), 1],
	] as const;
	return await lab.run(
		workflow('Generate', [...start, ...(settings.onError === undefined ? [] : outputs)]),
	);
}

function prompts(): unknown[] {
	return lab.emulator.submits.map(({ fields }) => fields.prompt);
}

describe('waiting for the images', () => {
	it('gives an item with the served bytes for each image, paired with its input', async () => {
		const execution = await generate(['A red fox', 'A blue whale #images-2']);
		expect(execution.status).toBe('success');
		expect(execution.mode).toBe('manual');
		expect(prompts().sort()).toEqual(['A blue whale #images-2', 'A red fox']);

		const items = execution.items('Generate');
		expect(items.map(({ pairedItem }) => pairedItem)).toEqual([
			{ item: 0 },
			{ item: 1 },
			{ item: 1 },
		]);
		expect(items.map(({ json }) => [json.prompt, json.image_number, json.image_count])).toEqual([
			['A red fox', 1, 1],
			['A blue whale #images-2', 1, 2],
			['A blue whale #images-2', 2, 2],
		]);
		for (const { json, binary } of items) {
			const image = binary?.data;
			if (image === undefined) throw new Error('An item has no image.');
			expect(json).toMatchObject({ status: 'Succeed', ai_model: 'GPT Image 1.5' });
			expect(image).toMatchObject({
				fileName: `${json.job_id as string}-${json.image_number as number}.png`,
				fileExtension: 'png',
				mimeType: 'image/png',
				// The bytes are on disk, not in the execution's data.
				data: 'filesystem-v2',
			});
			expect(sha256(await lab.n8n.download(image))).toBe(await servedSha256(json.image_url));
		}
		const hashes = await Promise.all(
			items.map(async ({ json }) => await servedSha256(json.image_url)),
		);
		expect(new Set(hashes).size).toBe(3);
	});

	it('keeps the key from the host of the images', async () => {
		await generate(['A red fox']);
		const downloads = lab.emulator.requests.filter(({ server }) => server === 'cdn');
		expect(downloads.map(({ status, headers }) => [status, headers.authorization])).toEqual([
			[200, undefined],
		]);
	});

	it('puts all images of a job in one item when asked to', async () => {
		const execution = await generate(['Three sketches #images-3'], {
			options: { outputItems: 'perJob' },
		});
		const [item, ...others] = execution.items('Generate');
		expect(others).toEqual([]);
		expect(item?.json.image_urls).toHaveLength(3);
		expect(Object.keys(item?.binary ?? {})).toEqual(['data', 'data_1', 'data_2']);
	});
});

describe('the job id first', () => {
	it('returns the jobs immediately, without a status check', async () => {
		const execution = await generate(['A red fox #never', 'A blue whale #never'], {
			waitForCompletion: false,
			aiModel: 'Grok Imagine',
		});
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		expect(execution.items('Generate')).toEqual(
			['A red fox #never', 'A blue whale #never'].map((prompt, item) => ({
				json: {
					job_id: lab.emulator.submits.find(({ fields }) => fields.prompt === prompt)?.jobId,
					status: 'Pending',
					prompt,
					ai_model: 'Grok Imagine',
				},
				pairedItem: { item },
			})),
		);
		expect(lab.emulator.requests.filter(({ method }) => method === 'GET')).toEqual([]);
	});
});

describe('reference images', () => {
	function picture(name: string, pixels: number): File {
		const canvas = createCanvas(pixels, pixels);
		const context = canvas.getContext('2d');
		const image = context.createImageData(pixels, pixels);
		image.data.set(randomBytes(image.data.length));
		context.putImageData(image, 0, 0);
		return new File([canvas.toBuffer('image/png')], name, { type: 'image/png' });
	}

	/** Uploads files to a production webhook that generates from them. */
	async function upload(files: Record<string, File>, parameters: INodeParameters): Promise<void> {
		const path = `references-${randomBytes(4).toString('hex')}`;
		const node = imageGenerate({ prompt: '={{ $json.body.prompt }}', ...parameters });
		const saved = await lab.n8n.createWorkflow(
			withCredential(workflow(path, chain(webhook(path), node)), lab.credential),
		);
		await lab.n8n.activate(saved);
		const form = new FormData();
		form.append('prompt', 'As on the pictures');
		for (const [field, file] of Object.entries(files)) form.append(field, file);
		const { status, text } = await lab.n8n.post(`webhook/${path}`, form);
		expect([status, text]).toEqual([200, expect.stringContaining('image_url')]);
		const execution = await lab.n8n.nextExecution(saved);
		expect([execution.status, execution.mode]).toEqual(['success', 'webhook']);
		await lab.n8n.deactivate(saved);
	}

	async function received(): Promise<unknown> {
		return await Promise.resolve(
			lab.emulator.submits[0]?.files.map(({ field, fileName, mimeType, sha256: hash }) => ({
				field,
				fileName,
				mimeType,
				hash,
			})),
		);
	}

	async function sent(...files: File[]): Promise<unknown> {
		return await Promise.all(
			files.map(async (file) => ({
				field: 'ref_images',
				fileName: file.name,
				mimeType: file.type,
				hash: sha256(new Uint8Array(await file.arrayBuffer())),
			})),
		);
	}

	it('reach the API byte for byte in the order that is selected, from a webhook in production', async () => {
		const [large, small, medium] = [
			picture('a b.png', 1200),
			picture('b.png', 8),
			picture('ü.png', 300),
		];
		await upload(
			{ large, small, medium },
			{ referenceImages: 'selected', binaryPropertyName: 'medium, large, small' },
		);
		expect(large.size).toBeGreaterThan(4_000_000);
		expect(await received()).toEqual(await sent(medium, large, small));
	});

	it('are all sent in the order of their names when that is chosen', async () => {
		const [one, two, three] = [picture('1.png', 16), picture('2.png', 16), picture('3.png', 16)];
		await upload({ c: three, a: one, b: two }, { referenceImages: 'all' });
		expect(await received()).toEqual(await sent(one, two, three));
	});
});

describe('started by n8n itself', () => {
	it('runs on a schedule', async () => {
		const saved = await lab.n8n.createWorkflow(
			withCredential(
				workflow('Scheduled', chain(everySecond(), imageGenerate({ prompt: 'A red fox' }))),
				lab.credential,
			),
		);
		await lab.n8n.activate(saved);
		const execution = await lab.n8n.nextExecution(saved);
		await lab.n8n.deactivate(saved);
		expect([execution.status, execution.mode]).toEqual(['success', 'trigger']);
		const [item] = execution.items('Generate');
		const image = item?.binary?.data;
		if (image === undefined) throw new Error('The item has no image.');
		expect(sha256(await lab.n8n.download(image))).toBe(await servedSha256(item?.json.image_url));
	});
});

describe('what goes wrong', () => {
	it('ends the execution with the reason and the job id', async () => {
		const execution = await generate(['A red fox #fail-message']);
		expect(execution.status).toBe('error');
		expect(execution.errorMessage).toContain(lab.emulator.submits[0]?.jobId);
		expect(execution.savedText).toContain('The prompt asked for this failure.');
	});

	it('submits nothing at all when one item of a run is wrong', async () => {
		const execution = await generate(['A red fox', '  ', 'A blue whale']);
		expect(execution.status).toBe('error');
		expect(execution.errorMessage).toMatch(/prompt/i);
		expect(lab.emulator.submits).toEqual([]);
	});

	it('goes to the error branch with its data, and only the failed item does', async () => {
		const execution = await generate(
			['A red fox', 'A blue whale #fail-message', ' '],
			{},
			{ onError: 'continueErrorOutput' },
		);
		expect(execution.status).toBe('success');
		const failedJob = lab.emulator.submits.find(({ fields }) =>
			fields.prompt?.includes('#fail-message'),
		);
		expect(execution.items('Good').map(({ json }) => json.prompt)).toEqual(['A red fox']);
		expect(execution.items('Bad').map(({ json }) => json)).toEqual([
			{
				prompt: 'A blue whale #fail-message',
				error: expect.objectContaining({
					message: expect.stringContaining('could not finish') as unknown,
					description: expect.stringContaining('The prompt asked for this failure.') as unknown,
					job_id: failedJob?.jobId,
					status: 'Failed',
				}) as unknown,
			},
			{
				prompt: ' ',
				error: expect.objectContaining({
					message: expect.stringMatching(/prompt/i) as unknown,
				}) as unknown,
			},
		]);
		expect(lab.emulator.submits).toHaveLength(2);
	});

	it('is not paid for again by a retry from the executions list', async () => {
		const saved = await lab.n8n.createWorkflow(
			withCredential(
				workflow(
					'Late',
					chain(
						manualTrigger(),
						imageGenerate({ prompt: 'A red fox #never', options: { timeout: 1 } }),
					),
				),
				lab.credential,
			),
		);
		const execution = await lab.n8n.runManually(saved, 'Start');
		expect(execution.status).toBe('error');
		const [submit] = lab.emulator.submits;
		if (submit === undefined) throw new Error('Nothing was submitted.');
		expect(execution.errorMessage).toContain(submit.jobId);
		lab.emulator.jobs.finish(submit.jobId);

		const retried = await lab.n8n.retry(execution.id);
		expect(retried.status).toBe('success');
		expect(retried.items('Generate').map(({ json }) => json.job_id)).toEqual([submit.jobId]);
		expect(lab.emulator.submits).toHaveLength(1);
	});

	it('ends soon when a person stops the execution', async () => {
		const saved = await lab.n8n.createWorkflow(
			withCredential(
				workflow('Stopped', chain(manualTrigger(), imageGenerate({ prompt: 'A red fox #never' }))),
				lab.credential,
			),
		);
		const run = lab.n8n.runManually(saved, 'Start');
		await until(() => lab.emulator.submits.length > 0);
		const [running] = await lab.n8n.executions(saved);
		if (running === undefined) throw new Error('There is no execution to stop.');
		await lab.n8n.stop(running.id);
		expect((await run).status).toBe('canceled');
		// n8n shows "canceled" at once, whatever the node does. Its log tells when the node has ended.
		await sleep(1_000);
		const ends = new RegExp(`Running node "Generate" finished[^\\n]*"${saved.id}"`);
		expect(ends.test(await lab.n8nLog())).toBe(true);
	});
});

describe('a dry run', () => {
	it('checks and submits nothing', async () => {
		const execution = await generate(['A red fox'], { options: { dryRun: true } });
		expect(execution.items('Generate').map(({ json }) => json)).toEqual([
			{ dry_run: true, prompt: 'A red fox', ai_model: 'GPT Image 1.5', files: {} },
		]);
		expect(lab.emulator.requests).toEqual([]);
	});
});
