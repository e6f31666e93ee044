import { createHash } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import type {
	IBinaryData,
	IBinaryKeyData,
	IDataObject,
	INode,
	INodeExecutionData,
	INodeParameters,
	INodeType,
} from 'n8n-workflow';

import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import { tinyPicture } from '../emulator/pictures';
import { storeBinary, type EngineOptions, type EngineResult } from '../support/engine';
import { useScene } from '../support/scene';
import { serve, type TestServer } from '../support/server';

// Input files that are no names of binary fields: those of expressions and those of URLs.

const PNG = tinyPicture('a picture', 'png');
const GIF = tinyPicture('another', 'gif');
const MAX_BYTES = 50 * 1_048_576;
const RETRIES: Partial<INode> = { retryOnFail: true, maxTries: 2, waitBetweenTries: 1 };

const scene = useScene({ jobDurationMs: 1500 });

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const received = () => scene.emulator.submits.flatMap(({ files }) => files);
const names = () => received().map(({ fileName }) => fileName);

async function generate(
	parameters: INodeParameters,
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'p', downloadImages: false, ...parameters },
		mode: 'trigger',
		...more,
	});
}

describe('a file by expression', () => {
	const selected = (binaryPropertyName: string): INodeParameters => ({
		referenceImages: 'selected',
		binaryPropertyName,
	});

	async function twoFiles(): Promise<IBinaryKeyData> {
		return {
			photo: await storeBinary(PNG, 'photo.png', 'image/png'),
			two: await storeBinary(GIF, 'two.gif', 'image/gif'),
		};
	}

	/** A node "Form" that puts these files out, and a node "Drop" that passes no files on, but its JSON. */
	function afterForm(
		binary: IBinaryKeyData,
		{ json = {}, formType = 'form' }: { json?: IDataObject; formType?: string } = {},
	): Pick<EngineOptions, 'around'> {
		const nodeType = (name: string, item: INodeExecutionData): INodeType => ({
			description: {
				displayName: name,
				name,
				group: ['transform'],
				version: 1,
				description: '',
				defaults: {},
				inputs: ['main'],
				outputs: ['main'],
				properties: [],
			},
			execute: async () => await Promise.resolve([[{ ...item, pairedItem: 0 }]]),
		});
		const node = (name: string, type: string): INode => ({
			id: name,
			name,
			type,
			typeVersion: 1,
			position: [0, 0],
			parameters: {},
		});
		return {
			around: {
				nodes: [node('Form', formType), node('Drop', 'drop')],
				nodeTypes: {
					[formType]: nodeType(formType, { json, binary }),
					drop: nodeType('drop', { json }),
				},
				connections: {
					Form: { main: [[{ node: 'Drop', type: 'main', index: 0 }]] },
					Drop: { main: [[{ node: 'Node', type: 'main', index: 0 }]] },
				},
				startAt: 'Form',
			},
		};
	}

	it.each([
		['alone', '={{ $binary.photo }}', ['photo.png']],
		['in a list with names', "={{ ['two', $binary.photo] }}", ['two.gif', 'photo.png']],
	])('is sent in its place, %s', async (_, expression, expected) => {
		const { error } = await generate(selected(expression), {
			items: [{ json: {}, binary: await twoFiles() }],
		});
		expect(error).toBeUndefined();
		expect(names()).toEqual(expected);
	});

	it.each(['item', 'first()', 'all()[0]'])(
		'of an earlier node is sent byte for byte, although a node between drops it: .%s',
		async (which) => {
			const { error } = await generate(selected(`={{ $('Form').${which}.binary.photo }}`), {
				...afterForm(await twoFiles()),
			});
			expect(error).toBeUndefined();
			expect(received()).toMatchObject([
				{ fileName: 'photo.png', mimeType: 'image/png', sha256: sha256(PNG) },
			]);
		},
	);

	it('of an earlier node is sent where the output of a node between is pinned', async () => {
		const { around } = afterForm(await twoFiles());
		if (!around) throw new Error('there is no workflow around the node');
		const { error } = await generate(selected("={{ $('Form').first().binary.photo }}"), {
			mode: 'manual',
			around: { ...around, pinData: { Drop: [{ json: { isPinned: true } }] } },
		});
		expect(error).toBeUndefined();
		expect(names()).toEqual(['photo.png']);
	});

	it.each(['separate', 'combined'] as const)(
		'that an item’s JSON made up from an ID in n8n’s storage is refused: binary mode %s',
		async (binaryMode) => {
			const somebodyElses = await storeBinary(PNG, 'secret.png', 'image/png');
			const { error } = await generate(selected('={{ $json.file }}'), {
				items: [{ json: { file: { ...somebodyElses } }, binary: await twoFiles() }],
				workflowSettings: { binaryMode },
			});
			expect(error?.message).toBe(
				'The file in "Input Data Field Name(s)" does not belong to this execution',
			);
			expect(error?.description).toContain('No job was started, and nothing was charged.');
			expect(scene.emulator.requests).toEqual([]);
		},
	);

	it('that carries its own content needs no place in n8n’s storage', async () => {
		const file = { data: PNG.toString('base64'), mimeType: 'image/png', fileName: 'own.png' };
		const { error } = await generate(selected('={{ $json.file }}'), {
			items: [{ json: { file } }],
		});
		expect(error).toBeUndefined();
		expect(received()).toMatchObject([{ fileName: 'own.png', sha256: sha256(PNG) }]);
	});

	it.each([
		['its path', '_files.photo'],
		['its path in a list', 'shots[0]'],
		['an expression', '={{ $json._files.photo }}'],
		['an expression for a list', '={{ $json.shots }}'],
	])(
		'or path is found in the JSON where a workflow keeps its files there: %s',
		async (_, given) => {
			const { photo } = await twoFiles();
			const { error } = await generate(selected(given), {
				items: [{ json: { _files: { photo: { ...photo } }, shots: [{ ...photo }] } }],
				workflowSettings: { binaryMode: 'combined' },
			});
			expect(error).toBeUndefined();
			expect(received()).toMatchObject([{ fileName: 'photo.png', sha256: sha256(PNG) }]);
		},
	);

	describe('where a workflow keeps its files in the JSON, by', () => {
		const ways: [string, INodeParameters][] = [
			['all of the item’s fields', { referenceImages: 'all' }],
			['name', selected('photo')],
			['path', selected('_files.photo')],
			['expression', selected('={{ $json._files.photo }}')],
			['a path elsewhere in the JSON', selected('shots[0]')],
		];
		const origins: [string, string, string | undefined, boolean][] = [
			['its own', 'workflow', undefined, true],
			['an earlier node’s', 'workflow', 'form', true],
			['a sub-workflow’s caller’s', 'other', 'n8n-nodes-base.executeWorkflowTrigger', true],
			['a called sub-workflow’s', 'other', 'n8n-nodes-base.executeWorkflow', true],
			['another workflow’s', 'other', 'form', false],
		];

		async function send(
			way: INodeParameters,
			photo: IBinaryData,
			formType: string | undefined,
		): Promise<EngineResult> {
			const json = {
				_files: { photo: { ...photo } },
				shots: [{ ...photo }],
			} as object as IDataObject;
			return await generate(way, {
				workflowSettings: { binaryMode: 'combined' },
				items: [{ json }],
				...(formType === undefined ? {} : afterForm({}, { json, formType })),
			});
		}

		it.each(
			ways.flatMap(([way, parameters]) =>
				origins.map(
					([origin, ...rest]): [
						string,
						string,
						INodeParameters,
						string,
						string | undefined,
						boolean,
					] => [way, origin, parameters, ...rest],
				),
			),
		)('%s: %s', async (_, __, way, workflowId, formType, isSent) => {
			const photo = await storeBinary(PNG, 'photo.png', 'image/png', workflowId);
			const { error } = await send(way, photo, formType);
			expect(names()).toEqual(isSent ? ['photo.png'] : []);
			if (isSent) return;
			expect(error?.message).toMatch(/^The file in ".*" belongs to another workflow$/);
			expect(error?.description).toContain('No job was started, and nothing was charged.');
			expect(scene.emulator.requests).toEqual([]);
		});

		it.each([
			(id: string) => id.replace('other', 'workflow/../other'),
			(id: string) => id.replace('workflows', './workflows'),
			(id: string) => id.replace('workflows', '/workflows'),
			(id: string) => id.replace('workflows/', 'workflows\\'),
			(id: string) => id.replace('workflows', 'Workflows'),
		])('path, but not by a detour: %s', async (detour) => {
			const photo = await storeBinary(PNG, 'photo.png', 'image/png', 'other');
			const id = detour(photo.id ?? '');
			const { error } = await send(selected('_files.photo'), { ...photo, id }, 'form');
			expect(error?.message).toContain('belongs to another workflow');
			expect(scene.emulator.requests).toEqual([]);
		});
	});

	it('of the node before an agent is sent by the agent’s tool', async () => {
		const { error } = await generate(selected("={{ $('Form').first().binary.photo }}"), {
			...afterForm(await twoFiles()),
			asTool: true,
		});
		expect(error).toBeUndefined();
		expect(names()).toEqual(['photo.png']);
	});
});

describe('a file by URL', () => {
	let web: TestServer;
	/** What came in, by path with query. */
	let visits: IncomingMessage[];
	let pages: Record<string, RequestListener>;

	const sends =
		(body: Buffer | string, contentType = 'application/octet-stream'): RequestListener =>
		(_, response) => {
			response.writeHead(200, { 'content-type': contentType }).end(body);
		};

	beforeEach(async () => {
		visits = [];
		pages = {
			'/one.png': sends(PNG),
			'/two.gif': sends(GIF, 'text/plain'),
			'/page.png': sends('<!doctype html><title>Sign in</title>', 'image/png'),
			'/text.png': sends('no picture', 'image/png'),
			'/expired.png': (_, response) => {
				response.writeHead(403).end();
			},
			'/slow.png': (request, response) => {
				void scene.clock.sleep(55_000).then(() => {
					sends(PNG)(request, response);
				});
			},
			'/silent.png': () => undefined,
			'/moved': (_, response) => {
				response.writeHead(302, { location: '/one.png' }).end();
			},
			'/large.png': (_, response) => {
				response.writeHead(200, { 'content-length': MAX_BYTES + 1 });
				response.write(PNG);
			},
		};
		web = await serve((request, response) => {
			visits.push(request);
			const page = pages[request.url?.split('?')[0] ?? ''];
			if (page) page(request, response);
			else response.writeHead(404).end();
		});
	});

	afterEach(() => {
		web.close();
	});

	const visited = () => visits.map(({ url }) => url);
	const byUrl = (...urls: string[]): INodeParameters => ({
		referenceImages: 'urls',
		referenceImageUrls: urls.join('\n'),
	});

	it('is sent as what its bytes are, in the order of the URLs', async () => {
		const { error } = await generate(byUrl(`${web.url}/two.gif?a=1,2`, `${web.url}/one.png`));
		expect(error).toBeUndefined();
		expect(received()).toMatchObject([
			{ field: 'ref_images', fileName: 'two.gif', mimeType: 'image/gif', sha256: sha256(GIF) },
			{ field: 'ref_images', fileName: 'one.png', mimeType: 'image/png', sha256: sha256(PNG) },
		]);
	});

	it('is fetched once for all items and variations, and without the API key', async () => {
		const { error } = await generate(
			{ ...byUrl(`${web.url}/one.png`), jobsPerItem: 3 },
			{ items: Array.from({ length: 5 }, () => ({ json: {} })) },
		);
		expect(error).toBeUndefined();
		expect(received().map((file) => file.sha256)).toEqual(
			Array.from({ length: 15 }, () => sha256(PNG)),
		);
		expect(visited()).toEqual(['/one.png']);
		expect(visits[0]?.headers).not.toHaveProperty('authorization');
	});

	it('may take its host nearly a minute to begin', async () => {
		const { error } = await generate(byUrl(`${web.url}/slow.png`));
		expect(error).toBeUndefined();
		expect(received()).toMatchObject([{ sha256: sha256(PNG) }]);
		expect(visited()).toEqual(['/slow.png']);
	});

	it('is the one that a redirect leads to', async () => {
		const { error } = await generate(byUrl(`${web.url}/moved`));
		expect(error).toBeUndefined();
		expect(received()).toMatchObject([{ mimeType: 'image/png', sha256: sha256(PNG) }]);
		expect(visited()).toEqual(['/moved', '/one.png']);
	});

	it.each([
		['/gone.png', 'HTTP 404'],
		['/page.png', 'the server sent a web page in place of the image'],
		['/text.png', 'the file is not a supported image'],
		['/expired.png', 'HTTP 403 (the link may have expired)'],
		['/silent.png', 'no response in time'],
		['/large.png', 'the file is larger than 50 MB'],
	])('that cannot be had starts no job for any item: %s', async (path, reason) => {
		const { error } = await generate(
			{ referenceImages: 'urls', referenceImageUrls: '={{ $json.url }}' },
			{
				items: ['/one.png', `${path}?signature=secret`].map((at) => ({
					json: { url: `${web.url}${at}` },
				})),
			},
		);
		expect(error?.message).toBe(`The image at ${web.url}${path} could not be fetched`);
		expect(error?.description).toContain(`Reason: ${reason}`);
		expect(error?.description).toContain('No job was started, and nothing was charged.');
		expect(JSON.stringify(error)).not.toContain('secret');
		expect(error?.context.itemIndex).toBe(1);
		expect(scene.emulator.requests).toEqual([]);
	});

	it('that cannot be had costs only its own item when the node continues on error', async () => {
		const { items } = await generate(
			{ referenceImages: 'urls', referenceImageUrls: '={{ $json.url }}' },
			{
				items: ['/gone.png', '/one.png'].map((at) => ({ json: { url: `${web.url}${at}` } })),
				nodeSettings: { onError: 'continueRegularOutput' },
			},
		);
		expect(items.map(({ json }) => json)).toMatchObject([
			{ error: { message: `The image at ${web.url}/gone.png could not be fetched [Item 0]` } },
			{ job_id: scene.jobIdOf(0), status: 'Succeed' },
		]);
		expect(names()).toEqual(['one.png']);
	});

	it('that is not of the web is refused without showing its query', async () => {
		const { error } = await generate(
			{
				referenceImages: 'urls',
				referenceImageUrls: '={{ $json.url }}',
			},
			{ items: [{ json: { url: 'file:///etc/passwd.png?token=secret' } }] },
		);
		expect(error?.message).toBe(
			'"file:///…/passwd.png" in "Reference Image URL(s)" is not a URL that can be fetched',
		);
		expect(JSON.stringify(error)).not.toContain('secret');
		expect(scene.emulator.requests).toEqual([]);
	});

	it('has to be there where URLs were chosen: without it nothing is paid', async () => {
		const { error } = await generate({
			referenceImages: 'urls',
			referenceImageUrls: '={{ $json.none }}',
		});
		expect(error?.message).toBe('The "Reference Image URL(s)" parameter is empty');
		expect(error?.description).toContain('No job was started, and nothing was charged.');
		expect(scene.emulator.requests).toEqual([]);
	});

	it('is not fetched when there are more of them than the model takes', async () => {
		const { error } = await generate({
			...byUrl(`${web.url}/one.png`, `${web.url}/two.gif`),
			aiModel: 'Grok Imagine Pro',
		});
		expect(error?.message).toBe(
			'Grok Imagine Pro takes only 1 reference image, but "Reference Image URL(s)" has 2',
		);
		expect(visited()).toEqual([]);
		expect(scene.emulator.requests).toEqual([]);
	});

	it('is not fetched again for a job that a retry resumes', async () => {
		const result = await generate(
			{ ...byUrl(`${web.url}/one.png`), options: { timeout: 1 } },
			{ nodeSettings: RETRIES },
		);
		expect(result.error).toBeUndefined();
		expect(result.calls).toBe(2);
		expect(scene.emulator.submits).toHaveLength(1);
		expect(visited()).toEqual(['/one.png']);
	});

	it('is described by a dry run, with its URL', async () => {
		const { items } = await generate({
			...byUrl(`${web.url}/two.gif?signature=secret`),
			options: { dryRun: true },
		});
		expect(items[0]?.json.files).toEqual({
			ref_images: [
				{
					url: `${web.url}/two.gif`,
					file_name: 'two.gif',
					mime_type: 'image/gif',
					bytes: GIF.length,
				},
			],
		});
		expect(scene.emulator.requests).toEqual([]);
	});

	it('that is gone on a retry does not hide the job that another item has paid for', async () => {
		pages['/two.gif'] = (_, response) => {
			const isFirst = visited().filter((path) => path === '/two.gif').length === 1;
			response.writeHead(isFirst ? 200 : 404).end(GIF);
		};
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'respond',
			status: 422,
			body: { detail: 'not now' },
			match: () => scene.emulator.submits.length === 1,
		});
		const { error, calls } = await generate(
			{
				referenceImages: 'urls',
				referenceImageUrls: '={{ $json.url }}',
				options: { maxConcurrentJobs: 1 },
			},
			{
				items: ['/one.png', '/two.gif'].map((at) => ({ json: { url: `${web.url}${at}` } })),
				nodeSettings: RETRIES,
			},
		);
		expect(calls).toBe(2);
		expect(error?.message).toBe(`The image at ${web.url}/two.gif could not be fetched`);
		expect(error?.description).toContain(scene.jobIdOf(0));
		expect(error?.description).toContain('No new job was started.');
		expect(error?.context).toMatchObject({ itemIndex: 1 });
		expect(scene.emulator.submits).toHaveLength(1);
	});

	describe('as an agent’s tool', () => {
		it('is what Image Generate takes unless told otherwise', async () => {
			const { error } = await generate(
				{ referenceImageUrls: `${web.url}/one.png` },
				{ asTool: true },
			);
			expect(error).toBeUndefined();
			expect(names()).toEqual(['one.png']);
		});

		it('leaves no gap for a call side by side: both count for the limit before it is fetched', async () => {
			const imageGenerate = new ImageGenerate();
			const refusals: unknown[] = [];
			const twice: INodeType = {
				description: imageGenerate.description,
				async execute() {
					const calls = [1, 2].map(async () => await imageGenerate.execute.call(this));
					for (const call of await Promise.allSettled(calls)) {
						if (call.status === 'rejected') refusals.push(call.reason);
					}
					return [[]];
				},
			};
			await generate(
				{ referenceImageUrls: `${web.url}/one.png`, options: { maxJobsPerExecution: 1 } },
				{ node: twice, asTool: true },
			);
			expect(scene.emulator.submits).toHaveLength(1);
			expect(refusals.map(String)).toEqual([expect.stringContaining('would start 2 jobs')]);
		});

		it('is what Image Tune takes unless told otherwise', async () => {
			const tune = async (imageUrl: string) =>
				await scene.run({ node: 'imageTune', parameters: { imageUrl }, asTool: true });
			const { error } = await tune(`${web.url}/one.png`);
			expect(error).toBeUndefined();
			expect(received()).toMatchObject([{ field: 'image', sha256: sha256(PNG) }]);
			const without = await tune('={{ "" }}');
			expect(without.error?.message).toContain('The "Image URL" parameter is empty');
		});

		it('is none where the URL of an optional file is empty', async () => {
			const { error } = await scene.run({
				node: 'effectGenerate',
				parameters: { description: 'sparks', imageUrl: '={{ "" }}' },
				asTool: true,
			});
			expect(error).toBeUndefined();
			expect(scene.emulator.submits).toHaveLength(1);
			expect(received()).toEqual([]);
		});

		it('takes the place of all files of the item, which a saved workflow may still ask for', async () => {
			const { error } = await generate({ referenceImages: 'all' }, { asTool: true });
			expect(error?.message).toContain('"Reference Images" must be "none", "selected", or "urls"');
			expect(scene.emulator.requests).toEqual([]);
		});
	});
});
