import { createHash } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type {
	IBinaryData,
	IBinaryKeyData,
	IDataObject,
	INodeExecutionData,
	INodeParameters,
	INodeType,
} from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import { storeBinary } from '../support/engine';
import { after, errorOf, inMemory, jsonOf, NO_JOB, numbered } from '../support/items';
import { nodeCalled } from '../support/nodes';
import { CONTINUES, type Scene, useScene } from '../support/scene';
import { serve, type TestServer } from '../support/server';

// Files on their way from the workflow, or from a URL, to the API. Which ones and by which names: unit/inputFiles.

const PNG = tinyPicture('a picture', 'png');
const GIF = tinyPicture('another', 'gif');
/** Larger than any chunk on the way, and no two parts of it alike. */
const LARGE_PNG = Buffer.concat([
	PNG,
	...Array.from({ length: 40_000 }, (_, n) => Buffer.from(`${n},`)),
]);

const scene = useScene({ jobDurationMs: 1500 });

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const received = () => scene.emulator.submits.flatMap(({ files }) => files);
const names = () => received().map(({ fileName }) => fileName);

const generate: Scene['generate'] = async (...given) => await scene.generate(...given);

const ALL: INodeParameters = { referenceImages: 'all' };

function selected(binaryPropertyName: string): INodeParameters {
	return { referenceImages: 'selected', binaryPropertyName };
}

const itemsWith = (binary: IBinaryKeyData) => ({ items: [{ json: {}, binary }] });

describe('what is sent of a file', () => {
	it.each([
		['stored by n8n', async () => await storeBinary(LARGE_PNG, '海鷗🦤.png', 'image/png')],
		['in memory', () => Promise.resolve(inMemory(LARGE_PNG, { fileName: '海鷗🦤.png' }))],
	])('is every byte, with a length that is known beforehand: %s', async (_, make) => {
		jsonOf(await generate(ALL, itemsWith({ data: await make() })));
		const file = { field: 'ref_images', fileName: '海鷗🦤.png', mimeType: 'image/png' };
		const sent = { bytes: LARGE_PNG.length, sha256: sha256(LARGE_PNG) };
		expect(received()).toMatchObject([{ ...file, ...sent }]);
		const [submit] = scene.emulator.requests;
		expect(Number(submit?.headers['content-length'])).toBeGreaterThan(LARGE_PNG.length);
		expect(submit?.headers['transfer-encoding']).toBeUndefined();
	});

	it('is free where the connection is cut before its end', async () => {
		scene.emulator.faults.add({ at: 'submit', kind: 'reset', when: 'uploading' });
		const large = Buffer.concat([PNG, Buffer.alloc(20_000_000)]);
		const photo = await storeBinary(large, 'large.png', 'image/png');
		const { error } = await generate(ALL, itemsWith({ photo }));
		expect(error?.message).toBe('The files could not be sent to AetherForge');
		expect(error?.description).toContain('nothing was charged');
	});

	it('is a name that does no harm, and the type that its bytes show', async () => {
		const sent = [
			['photo 1.png', 'photo 1.png'],
			[undefined, '1 field.gif'],
			['a\r\nContent-Type: text/html\r\n\r\nb.png', 'htmlb.png'],
			['a\u0000\u0007\u0085b.png', 'ab.png'],
			['Möwe 海鷗 🦤.png', 'Möwe 海鷗 🦤.png'],
			['a\ud83db.png', 'ab.png'],
			['a"b\'c.png', "a%22b'c.png"],
			['a"; name="ai_model', 'a%22; name=%22ai_model'],
			[`${'x'.repeat(300)}.png`, 'x'.repeat(200)],
		];
		const binary = sent.map(([fileName], index): [string, IBinaryData] => [
			`${index} field`,
			inMemory(GIF, { ...(fileName !== undefined && { fileName }), mimeType: 'x\r\nX-Evil: 1' }),
		]);
		jsonOf(await generate(ALL, itemsWith(Object.fromEntries(binary))));
		expect(names()).toEqual(sent.map(([, name]) => name));
		const isGif = { mimeType: 'image/gif', sha256: sha256(GIF) };
		expect(received()).toMatchObject(Array(sent.length).fill(isGif));
		expect(scene.emulator.submits[0]?.fields).toEqual({ prompt: 'p', ai_model: 'GPT Image 1.5' });
	});
});

/** A node "Form" that puts these out, and a node "Drop" that passes no files on, but the JSON. */
function afterForm(
	{ binary = {}, json = {} }: { binary?: IBinaryKeyData; json?: IDataObject },
	type = 'form',
): ReturnType<typeof after> {
	const putsOut = (item: INodeExecutionData) => async () =>
		await Promise.resolve([[{ ...item, pairedItem: 0 }]]);
	return after(
		{ name: 'Form', type, execute: putsOut({ json, binary }) },
		{ name: 'Drop', execute: putsOut({ json }) },
	);
}

describe('a file by expression', () => {
	it.each(['item', 'first()', 'all()[0]'])(
		'of an earlier node is sent although a node between drops it: .%s',
		async (which) => {
			const photo = await storeBinary(PNG, 'photo.png', 'image/png');
			const given = afterForm({ binary: { photo, two: inMemory(GIF) } });
			jsonOf(await generate(selected(`={{ $('Form').${which}.binary.photo }}`), given));
			expect(received()).toMatchObject([{ fileName: 'photo.png', sha256: sha256(PNG) }]);
		},
	);

	it.each(['separate', 'combined'] as const)(
		'that an item’s JSON made up from an ID in n8n’s storage is refused: binary mode %s',
		async (binaryMode) => {
			const somebodyElses = await storeBinary(PNG, 'secret.png', 'image/png');
			const { error } = await generate(selected('={{ $json.file }}'), {
				items: [{ json: { file: { ...somebodyElses } }, binary: { photo: inMemory(PNG) } }],
				workflowSettings: { binaryMode },
			});
			expect(error?.message).toBe(
				'The file in "Input Data Field Name(s)" does not belong to this execution',
			);
			expect(error?.description).toContain(NO_JOB);
			expect(scene.emulator.requests).toEqual([]);
		},
	);
});

describe('where a workflow keeps its files in the JSON, a file', () => {
	const BY_PATH = selected('_files.photo');
	const EVERY_WAY = [
		...[ALL, selected('photo'), BY_PATH, selected('={{ $json._files.photo }}')],
		...[selected('shots[0]'), selected('={{ $json.shots }}')],
	];

	/** @param formType of a node before this one, if one put the file out */
	async function send(way: INodeParameters, photo: IBinaryData, formType?: string) {
		const json = { _files: { photo: { ...photo } }, shots: [{ ...photo }] } as object;
		const item = { json: json as IDataObject };
		return await generate(way, {
			workflowSettings: { binaryMode: 'combined' },
			items: [item],
			...(formType !== undefined && afterForm(item, formType)),
		});
	}

	async function expectRefused(way: INodeParameters, photo: IBinaryData): Promise<void> {
		const { error } = await send(way, photo, 'form');
		expect(error?.message).toMatch(/^The file in ".*" belongs to another workflow$/);
		expect(error?.description).toContain(NO_JOB);
		expect(scene.emulator.requests).toEqual([]);
	}

	it.each(EVERY_WAY)('is sent by %j, but not one of another workflow', async (way) => {
		await expectRefused(way, await storeBinary(PNG, 'secret.png', 'image/png', 'other'));
		jsonOf(await send(way, await storeBinary(PNG, 'photo.png', 'image/png')));
		expect(received()).toMatchObject([{ fileName: 'photo.png', sha256: sha256(PNG) }]);
	});

	it.each([
		['an earlier node’s', 'workflow', 'form'],
		['a sub-workflow’s caller’s', 'other', 'n8n-nodes-base.executeWorkflowTrigger'],
		['a called sub-workflow’s', 'other', 'n8n-nodes-base.executeWorkflow'],
	])('is sent where it is %s', async (_, workflowId, formType) => {
		const photo = await storeBinary(PNG, 'photo.png', 'image/png', workflowId);
		jsonOf(await send(BY_PATH, photo, formType));
		expect(names()).toEqual(['photo.png']);
	});

	it.each([
		(id: string) => id.replace('other', 'workflow/../other'),
		(id: string) => id.replace('workflows', './workflows'),
		(id: string) => id.replace('workflows', '/workflows'),
		(id: string) => id.replace('workflows/', 'workflows\\'),
		(id: string) => id.replace('workflows', 'Workflows'),
	])('of another workflow is not reached by a detour: %s', async (detour) => {
		const photo = await storeBinary(PNG, 'photo.png', 'image/png', 'other');
		await expectRefused(BY_PATH, { ...photo, id: detour(photo.id ?? '') });
	});
});

describe('a file by URL', () => {
	let web: TestServer;
	/** What came in, by path with query. */
	let visits: IncomingMessage[];
	type Page = [status: number, headers: OutgoingHttpHeaders, body?: Buffer | string];
	const PAGES: Record<string, Page> = {
		'/one.png': [200, { 'content-type': 'application/octet-stream' }, PNG],
		'/slow.png': [200, {}, PNG],
		'/two.gif': [200, { 'content-type': 'text/plain' }, GIF],
		'/page.png': [200, { 'content-type': 'image/png' }, '<!doctype html><title>Sign in</title>'],
		'/text.png': [200, { 'content-type': 'image/png' }, 'no picture'],
		'/expired.png': [403, {}],
		'/moved': [302, { location: '/one.png' }],
		'/large.png': [200, { 'content-length': 50 * 1_048_576 + 1 }, PNG],
	};

	beforeEach(async () => {
		visits = [];
		web = await serve((request, response) => {
			visits.push(request);
			const path = request.url?.split('?')[0] ?? '';
			const [status, headers, body] = PAGES[path] ?? [404, {}];
			const answer = () => response.writeHead(status, headers).end(body);
			if (path === '/slow.png') void scene.clock.sleep(55_000).then(answer);
			else if (path !== '/silent.png') answer();
		});
	});

	afterEach(() => {
		web.close();
	});

	const visited = () => visits.map(({ url }) => url);
	const byUrl = (...paths: string[]): INodeParameters => ({
		referenceImages: 'urls',
		referenceImageUrls: paths.map((path) => web.url + path).join('\n'),
	});

	const BY_ITEM = { referenceImages: 'urls', referenceImageUrls: '={{ $json.url }}' };
	const itemsAt = (...paths: string[]) => ({
		items: paths.map((path) => ({ json: { url: web.url + path } })),
	});

	it('is sent as what its bytes are, in the order of the URLs, also late and behind a redirect', async () => {
		jsonOf(await generate(byUrl('/two.gif?a=1,2', '/moved', '/slow.png')));
		const field = 'ref_images';
		expect(received()).toMatchObject([
			{ field, fileName: 'two.gif', mimeType: 'image/gif', sha256: sha256(GIF) },
			{ field, fileName: 'moved.png', mimeType: 'image/png', sha256: sha256(PNG) },
			{ field, fileName: 'slow.png', mimeType: 'image/png', sha256: sha256(PNG) },
		]);
		expect(visited().sort()).toEqual(['/moved', '/one.png', '/slow.png', '/two.gif?a=1,2']);
	});

	it('is fetched once for all items and variations, and without the API key', async () => {
		jsonOf(await generate({ ...byUrl('/one.png'), jobsPerItem: 3 }, { items: numbered(5) }));
		expect(received().map((file) => file.sha256)).toEqual(Array(15).fill(sha256(PNG)));
		expect(visited()).toEqual(['/one.png']);
		expect(visits[0]?.headers).not.toHaveProperty('authorization');
	});

	it.each([
		['/gone.png', 'HTTP 404'],
		['/page.png', 'the server sent a page, such as a sign-in page'],
		['/text.png', 'the file is not a supported image'],
		['/expired.png', 'HTTP 403 (the link may have expired)'],
		['/silent.png', 'no response in time'],
		['/large.png', 'the file is larger than 50 MB'],
	])('that cannot be had starts no job, unless the node continues: %s', async (path, reason) => {
		const given = itemsAt('/one.png', `${path}?signature=secret`);
		const { error } = await generate(BY_ITEM, given);
		expect(error?.message).toBe(`The image at ${web.url}${path} could not be fetched`);
		expect(error?.description).toContain(`Reason: ${reason}`);
		expect(error?.description).toContain(NO_JOB);
		expect(JSON.stringify(error)).not.toContain('secret');
		expect(error?.context.itemIndex).toBe(1);
		expect(scene.emulator.requests).toEqual([]);

		const { items } = await generate(BY_ITEM, { ...given, nodeSettings: CONTINUES });
		expect(items[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), status: 'Succeed' });
		expect(errorOf(items[1]).message).toContain(`${path} could not be fetched`);
	});

	it('leaves no gap for an agent’s calls side by side: both count before it is fetched', async () => {
		const imageGenerate = nodeCalled('imageGenerate');
		const refused: unknown[] = [];
		const twice: INodeType = {
			description: imageGenerate.description,
			async execute() {
				const calls = [1, 2].map(async () => await imageGenerate.execute?.call(this));
				for (const call of await Promise.allSettled(calls)) {
					if (call.status === 'rejected') refused.push(call.reason);
				}
				return [[]];
			},
		};
		const options = { maxJobsPerExecution: 3 };
		const given = { ...byUrl('/one.png'), jobsPerItem: 2, options };
		await generate(given, { node: twice, asTool: true });
		expect(scene.emulator.submits).toHaveLength(2);
		expect(refused.map(String)).toEqual([expect.stringContaining('would start 4 jobs')]);
	});

	it('is what an agent’s tool takes, not all files of the item, as a saved workflow may ask', async () => {
		jsonOf(await generate({ referenceImageUrls: `${web.url}/one.png` }, { asTool: true }));
		expect(names()).toEqual(['one.png']);
		const { error } = await generate(ALL, { asTool: true });
		expect(error?.message).toContain('"Reference Images" must be "none", "selected", or "urls"');
		expect(scene.emulator.submits).toHaveLength(1);
	});
});
