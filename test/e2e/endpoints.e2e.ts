import { randomUUID } from 'node:crypto';
import type { INode } from 'n8n-workflow';
import { tinyPicture } from '../emulator/pictures';
import { ENDPOINT_CASES, type EndpointCase } from '../support/endpointCases';
import { openLab, servedSha256, sha256, type Lab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import { finishJobs, jobIds, lateJobOfWebhook, save } from './scenarios';
import {
	chain,
	effectGenerate,
	imageGenerate,
	imageTune,
	manualTrigger,
	sprite,
	webhook,
	workflow,
	type Link,
} from './workflow';

/** What is uploaded, each picture with other bytes, by the binary field that n8n puts it in. */
const uploads = ['data', 'endFrame', 'knight', 'wizard'].map((field): [string, Buffer] => [
	field,
	tinyPicture(field, 'png'),
]);

const nodes = { effectGenerate, imageGenerate, imageTune, sprite };

interface Case extends Pick<EndpointCase, 'path' | 'results'> {
	node: INode;
	/** The text fields, as they arrive. */
	fields: Readonly<Record<string, string>>;
	/** The files, as they arrive: the API's field, and the upload in it. */
	files: [apiName: string, upload: string][];
}

/** Each endpoint with what it cannot do without. */
const required: Case[] = ENDPOINT_CASES.map(
	({ path, node, parameters, sends, fields, results }) => ({
		path,
		results,
		node: nodes[node](parameters),
		fields: sends,
		files: fields
			.filter(({ kind, isOptional = false }) => kind === 'files' && !isOptional)
			.map(({ name }) => [name, 'data']),
	}),
);

/** What n8n's parameters can say beyond that: expressions, optional files, several files, JSON. */
const chosen: Case[] = [
	{
		path: '/public/v1/sprite/make-sprite/v2',
		node: sprite({
			apiVersion: 'v2',
			endFrameImageSource: 'binary',
			endFrameImageField: 'endFrame',
			text: 'Jumping',
			frame: '={{ "81" }}',
			isPixel: true,
		}),
		fields: { text: 'Jumping', frame: '81', is_pixel: 'true' },
		files: [
			['start_frame_image', 'data'],
			['end_frame_image', 'endFrame'],
		],
		results: ['png', 'gif'],
	},
	{
		path: '/public/v1/sprite/character-overlay/v1',
		node: sprite({
			operation: 'characterOverlay',
			characterImagesFields: 'wizard, knight',
			rowsInput: 'json',
			rowsJson: '[{ "title": "Idle", "description": "Standing still", "row": "1" }]',
			style: 'pixel',
		}),
		fields: {
			rows: JSON.stringify([{ row: 1, title: 'Idle', description: 'Standing still' }]),
			resolution: '2K',
			style: 'pixel',
		},
		files: [
			['sprite_sheet', 'data'],
			['character_images', 'wizard'],
			['character_images', 'knight'],
		],
		results: ['png'],
	},
];

const cases = [...required, ...chosen].map((each, index) => ({ ...each, name: `Node ${index}` }));

let lab: Lab;

describe('an upload that every endpoint gets', () => {
	let execution: Execution;
	beforeAll(async () => {
		lab = await openLab();
		const path = randomUUID();
		const start = webhook(path);
		// One that fails must not keep the others from running.
		const onError = 'continueRegularOutput';
		const branches = cases.map(({ name, node }): Link => [start, { ...node, name, onError }]);
		const saved = await save(lab, workflow('Every endpoint', branches));
		await lab.n8n.activate(saved);
		const form = new FormData();
		for (const [field, bytes] of uploads) {
			form.append(field, new File([bytes], `${field}.png`, { type: 'image/png' }));
		}
		await lab.n8n.post(`webhook/${path}`, form);
		execution = await lab.n8n.nextExecution(saved);
		await lab.n8n.deactivate(saved);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
	});
	afterAll(async () => {
		await lab.close();
	});

	it.each(cases)('$path receives it and gives its results ($name)', async (each) => {
		const { path, name, fields, files, results } = each;
		const items = execution.items(name);
		const jobId = items[0]?.json.job_id as string;
		const submit = lab.emulator.submits.find((other) => other.jobId === jobId);
		expect(submit?.endpoint).toBe(path);
		expect(submit?.fields).toEqual(fields);
		expect(
			submit?.files.map(({ field, fileName, mimeType, sha256: hash }) => [
				field,
				fileName,
				mimeType,
				hash,
			]),
		).toEqual(
			files.map(([field, upload]) => [
				field,
				`${upload}.png`,
				'image/png',
				sha256(tinyPicture(upload, 'png')),
			]),
		);

		const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
		for (const [index, { json }] of items.entries()) {
			const { job_id, status, image_url, image_number, image_count, ...echo } = json;
			expect({ job_id, status, image_url, image_number, image_count }).toEqual({
				job_id: jobId,
				status: 'Succeed',
				image_url: `${lab.emulator.cdnUrl}/results/${jobId}/${index + 1}.${results[index] ?? ''}`,
				image_number: index + 1,
				image_count: results.length,
			});
			// The rest repeats what was sent.
			expect(Object.entries(echo).map(([key, value]) => [key, asText(value)])).toEqual(
				Object.entries(submit?.fields ?? {}),
			);
		}
		expect(items).toHaveLength(results.length);
		for (const [index, { json, binary }] of items.entries()) {
			const file = binary?.data;
			if (file === undefined) throw new Error('An item has no file.');
			const format = results[index] ?? '';
			expect([file.fileName, file.mimeType]).toEqual([
				`${jobId}-${index + 1}.${format}`,
				`image/${format}`,
			]);
			expect(sha256(await lab.n8n.download(file))).toBe(await servedSha256(json.image_url));
		}
	});
});

describe('on its own', () => {
	beforeEach(async () => {
		lab = await openLab();
	});
	afterEach(async () => {
		await lab.close();
	});

	it.each<[string, INode, string]>([
		['Image Tune', imageTune({ scale: '={{ "8K" }}' }), '"Scale" must be "1K", "2K" or "4K"'],
		[
			'Effect Generate',
			effectGenerate({ description: 'Sparks', frame: '={{ 25 }}' }),
			'"Frames" must be 4, 9 or 16',
		],
		[
			'Sprite',
			sprite({
				operation: 'characterOverlay',
				characterImagesFields: 'knight',
				rowsInput: 'json',
				rowsJson: '={{ [{ row: 1, title: "Idle", description: 7 }] }}',
			}),
			'"description" in row 1 of "Rows (JSON)" must be text',
		],
	])('%s refuses a wrong value before anything is sent', async (_, node, message) => {
		const execution = await lab.run(workflow('Refused', chain(manualTrigger(), node)));
		expect([execution.status, execution.errorMessage]).toEqual(['error', message]);
		expect(execution.savedText).toContain('No job was started, and nothing was charged.');
		expect(lab.emulator.requests).toEqual([]);
	});

	it('a chain of Image Generate, Upscale, and Make Sprite needs no more than its texts', async () => {
		const prompt = 'A knight on a plain background';
		const execution = await lab.run(
			workflow(
				'Chain',
				chain(
					manualTrigger(),
					imageGenerate({ prompt }),
					imageTune({}),
					sprite({ text: 'Walking animation' }),
				),
			),
		);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		expect(filesReceived()).toEqual([
			['generate/image'],
			['image-tune/upscale', await resultOf(execution, 'Generate')],
			['sprite/make-sprite/v1', await resultOf(execution, 'Tune')],
		]);
		expect(execution.items('Sprite').map(({ binary }) => binary?.data?.mimeType)).toEqual([
			'image/png',
			'image/gif',
		]);
	});

	it('Reskin is charged for the sheet alone when Make Sprite puts out one item per job', async () => {
		const make = sprite({ text: 'Walking animation', options: { outputItems: 'perJob' } });
		const reskin = sprite({ operation: 'reskin', description: 'In golden armor' });
		const execution = await lab.run(
			workflow(
				'Chain',
				chain(manualTrigger(), imageGenerate({ prompt: 'A knight' }), make, {
					...reskin,
					name: 'Reskin',
				}),
			),
		);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		const [sheet] = execution.items('Sprite')[0]?.json.image_urls as string[];
		expect(sheet).toMatch(/\.png$/);
		expect(filesReceived().slice(2)).toEqual([['sprite/reskin/v1', await servedSha256(sheet)]]);
	});

	it.each<[string, INode]>([
		['Image Tune', imageTune({ imageField: 'picture', options: { timeout: 1 } })],
		[
			'Effect Generate',
			effectGenerate({
				description: '=Sparks {{ $execution.id }}',
				imageSource: 'binary',
				imageField: 'picture',
				options: { timeout: 1 },
			}),
		],
		['Sprite', sprite({ imageField: 'picture', text: 'Walking', options: { timeout: 1 } })],
	])('%s pays nothing for a retry from the executions list', async (_, node) => {
		await lab.close();
		lab = await openLab({ jobDurationMs: Infinity });
		const { execution } = await lateJobOfWebhook(lab, node);
		finishJobs(lab);
		const retried = await lab.n8n.retry(execution.id);
		expect([retried.status, retried.errorMessage]).toEqual(['success', undefined]);
		expect(new Set(jobIds(retried, node.name))).toEqual(new Set([lab.emulator.submits[0]?.jobId]));
		expect(lab.emulator.submits).toHaveLength(1);
	});

	/** The endpoints that were paid, in order, each with the hashes of the files that it received. */
	function filesReceived(): string[][] {
		return lab.emulator.submits.map(({ endpoint, files }) => [
			endpoint.replace('/public/v1/', ''),
			...files.map(({ sha256: hash }) => hash),
		]);
	}

	/** The hash of the only result of a node's job. */
	async function resultOf(execution: Execution, nodeName: string): Promise<string> {
		const [item, ...more] = execution.items(nodeName);
		expect(more).toEqual([]);
		return await servedSha256(item?.json.image_url);
	}
});
