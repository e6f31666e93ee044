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
	nodeTypes,
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

		const echo = Object.fromEntries(
			Object.entries(items[0]?.json ?? {}).filter(([key]) => key in fields),
		);
		const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
		expect(Object.entries(echo).map(([key, value]) => [key, asText(value)])).toEqual(
			Object.entries(submit?.fields ?? {}),
		);
		const images = results.map((format, index) => ({
			image_url: `${lab.emulator.cdnUrl}/results/${jobId}/${index + 1}.${format}`,
			width: 1,
			height: 1,
			mime_type: `image/${format}`,
		}));
		const urls = images.map(({ image_url }) => image_url);
		const own = { job_id: jobId, status: 'Succeed', ...echo };
		expect(items.map(({ json }) => json)).toEqual(
			each.node.type === nodeTypes.sprite
				? [{ ...own, image_urls: urls, images }]
				: images.map((image, index) => ({
						...own,
						...image,
						image_number: index + 1,
						image_count: images.length,
					})),
		);
		const received = items.flatMap(({ binary }) => Object.values(binary ?? {}));
		expect(received.map(({ fileName, mimeType }) => [fileName, mimeType])).toEqual(
			results.map((format, index) => [`${jobId}-${index + 1}.${format}`, `image/${format}`]),
		);
		const hashes = received.map(async (file) => sha256(await lab.n8n.download(file)));
		expect(await Promise.all(hashes)).toEqual(await Promise.all(urls.map(servedSha256)));
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
		['Image Tune', imageTune({ scale: '={{ "8K" }}' }), '"Scale" must be "1K", "2K", or "4K"'],
		[
			'Effect Generate',
			effectGenerate({ description: 'Sparks', frame: '={{ 25 }}' }),
			'"Frames" must be 4, 9, or 16',
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

	it('a character from its prompt to its other look is charged four jobs, with nothing set', async () => {
		const reskin = sprite({ operation: 'reskin', description: 'In golden armor' });
		const execution = await lab.run(
			workflow(
				'Chain',
				chain(
					manualTrigger(),
					imageGenerate({ prompt: 'A knight' }),
					imageTune({}),
					sprite({ text: 'Walking animation' }),
					{ ...reskin, name: 'Reskin' },
				),
			),
		);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		const [made] = execution.items('Sprite');
		const [sheet] = made?.json.image_urls as string[];
		expect(filesReceived()).toEqual([
			['generate/image'],
			['image-tune/upscale', await resultOf(execution, 'Generate')],
			['sprite/make-sprite/v1', await resultOf(execution, 'Tune')],
			['sprite/reskin/v1', await servedSha256(sheet)],
		]);
		const types = Object.values(made?.binary ?? {}).map(({ mimeType }) => mimeType);
		expect(types).toEqual(['image/png', 'image/gif']);
		expect(execution.items('Reskin')).toHaveLength(1);
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
