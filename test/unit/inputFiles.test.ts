import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { IBinaryData } from 'n8n-workflow';

import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import type { FileToFetch, RequestFile } from '../../nodes/shared/api/request';
import type { Field, FilesField } from '../../nodes/shared/endpoint';
import { ParameterReader } from '../../nodes/shared/engine/check/parameters';
import { readRequest } from '../../nodes/shared/engine/check/request';
import { KnownFiles } from '../../nodes/shared/engine/files/knownFiles';
import type { Failure } from '../../nodes/shared/failure';
import { fakeContext } from './fakeContext';

// Which files are meant, by which names. How they travel, and whose they may be: integration/inputFiles.

type Files = Record<string, IBinaryData>;

const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(100_000)]);
const BASE64 = PNG.toString('base64');
const IN_LINES = BASE64.replace(/.{76}/g, '$&\r\n');
const CONTENT = 'contains the content of a file, not where to find it';
const NAMES = '"Input Data Field Name(s)"';
const URLS = '"Reference Image URL(s)"';
const STORED: IBinaryData = { id: 'stored', data: 'filesystem-v2', mimeType: 'image/png' };

const [, model, several] = generateImage.fields;
if (model?.kind !== 'choice' || several?.kind !== 'files') throw new Error('It has other fields');
const MODEL: Field = model;
const SEVERAL: FilesField = several;
const ONE: FilesField = { ...SEVERAL, limit: { min: 1, max: 1 } };

const DEFAULTS = {
	field: SEVERAL,
	aiModel: 'GPT Image 1.5',
	source: 'selected',
	names: 'data' as unknown,
	/** The parameter with the names, as it is written. */
	written: '',
	urls: '' as unknown,
	json: {},
	binary: {} as Files,
	binaryMode: 'separate',
	isTool: false,
	/** What a node put out in each of its runs; "Form" is before this one, on the output that leads here. */
	other: { node: 'Form', output: undefined as number | undefined, runs: [] as Files[] },
	/** Called for each piece of a stored file that is read. */
	onRead: () => undefined,
};
type Given = Partial<typeof DEFAULTS>;

function inMemory(fileName = 'a.png', bytes = PNG): IBinaryData {
	return { data: bytes.toString('base64'), mimeType: 'image/png', fileName };
}

async function read(given: Given): Promise<readonly (RequestFile | FileToFetch)[]> {
	const { field, aiModel, source, names, written, urls, ...rest } = { ...DEFAULTS, ...given };
	const { json, binary, binaryMode, isTool, other, onRead } = rest;
	const ofFiles = { referenceImages: source, binaryPropertyName: names, referenceImageUrls: urls };
	const parameters: Record<string, unknown> = { aiModel, ...ofFiles };
	async function* chunks(): AsyncGenerator<Buffer> {
		for (let at = 0; at < PNG.length; at += 1000) {
			onRead();
			yield await Promise.resolve(PNG.subarray(at, at + 1000));
		}
	}
	const itemsOf = (name: string) => ({
		all: (output: number | undefined, run: number) => {
			const files = name === other.node && output === other.output ? other.runs[run] : undefined;
			if (files === undefined) throw new Error(`Run ${run} of node "${name}" not found`);
			return [{ json: {}, binary: files }];
		},
	});
	const proxy = {
		$: itemsOf,
		$node: { [other.node]: { runIndex: other.runs.length - 1 } },
		// Without a function of this name, n8n keeps files in the JSON.
		$item: binaryMode === 'combined' ? json : () => undefined,
	};
	const n8n = {
		getNodeParameter: (name: string) => parameters[name],
		getInputData: () => [{ json, binary }],
		getWorkflowDataProxy: () => proxy,
		// An agent's tool has no nodes before it: those before the agent count.
		getParentNodes: (name: string) =>
			name === (isTool ? 'Agent' : 'Node') ? [{ name: 'Form', type: '' }] : [],
		getInputSourceData: () => ({ previousNode: 'Agent' }),
		getWorkflow: () => ({ id: 'workflow', active: false }),
		getWorkflowSettings: () => ({ binaryMode }),
		helpers: {
			getBinaryStream: () => Promise.resolve(Readable.from(chunks(), { highWaterMark: 1 })),
			getBinaryMetadata: () => Promise.resolve({ fileSize: PNG.length }),
		},
	};
	const type = isTool ? 'imageGenerateTool' : 'imageGenerate';
	const context = fakeContext({ binaryPropertyName: written }, n8n, type);
	const reader = new ParameterReader(context);
	const input = { context, reader, knownFiles: new KnownFiles(context), isTool };
	const endpoint = { ...generateImage, fields: [MODEL, field] };
	return (await readRequest(input, endpoint, 0, {})).files;
}

async function filesOf(given: Given): Promise<RequestFile[]> {
	return (await read(given)) as RequestFile[];
}

/** The names of binary fields; `undefined` for a file that an expression gave. */
async function namesOf(given: Given): Promise<unknown[]> {
	return (await filesOf(given)).map(({ from }) => from && 'field' in from && from.field);
}

async function urlsOf(urls: unknown, given: Given = {}): Promise<unknown[]> {
	const files = await read({ source: 'urls', urls, ...given });
	return files.map((file) => 'urlToFetch' in file && file.urlToFetch);
}

describe('the binary fields that are sent', () => {
	const THREE: Files = { image_10: inMemory(), image_2: inMemory(), a: inMemory() };
	const COMMAS: Files = Object.fromEntries(
		['a', 'image_2', 'Photo', 'Photo, front', '__proto__'].map((name) => [name, inMemory()]),
	);
	const binary = { ...THREE, gone: null as never };

	it.each<[names: unknown, sent: string[], binary: Files]>([
		['image_10, a', ['image_10', 'a'], THREE],
		[' a ,, image_2, ', ['a', 'image_2'], THREE],
		[['image_2', 'a'], ['image_2', 'a'], THREE],
		['a, a', ['a', 'a'], THREE],
		['Photo, front', ['Photo, front'], COMMAS],
		['a, Photo, front, image_2', ['a', 'Photo, front', 'image_2'], COMMAS],
		['Photo, front, Photo', ['Photo, front', 'Photo'], COMMAS],
		[['__proto__', 'Photo, front'], ['__proto__', 'Photo, front'], COMMAS],
		[' my photo ', [' my photo '], { ' my photo ': inMemory() }],
	])('are those that %j names, in its order', async (names, sent, fields) => {
		expect(await namesOf({ names, binary: fields })).toEqual(sent);
	});

	it('are all in natural order, so that image_2 comes before image_10, or none', async () => {
		expect(await namesOf({ source: 'all', binary })).toEqual(['a', 'image_2', 'image_10']);
		expect(await namesOf({ source: 'none', binary })).toEqual([]);
	});

	it.each<[string, names: unknown, string]>([
		['a name that JavaScript knows', 'toString', 'no binary field "toString"'],
		['null in place of a file', 'gone', 'The item has no binary field "gone"'],
		['text beside a dragged file', 'data [object Object]', 'contains both text and a file'],
		['an object', { a: 1 }, `The ${NAMES} parameter must be text, but is`],
		['a list with a hole', ['a', undefined], `Entry 2 of ${NAMES} is empty`],
		['base64', IN_LINES, `${NAMES} ${CONTENT}`],
		['a data URL', `data:image/png;base64,${BASE64}`, `${NAMES} ${CONTENT}`],
		['a URL with secrets', 's3://KEY:SE/CRET@bucket/1.png?SECRET', '"s3://***@bucket/1.png"'],
	])('are none, but a message, for %s', async (_, names, message) => {
		await expect(filesOf({ binary, names })).rejects.toThrow(message);
	});
});

describe('a file that is sent', () => {
	it('is opened once for all of the times that it is sent, and not read beyond its start', async () => {
		const onRead = jest.fn();
		const files = await filesOf({ names: 'a, b', binary: { a: STORED, b: STORED }, onRead });
		expect(files.map(({ fileName }) => fileName)).toEqual(['a.png', 'b.png']);
		const { length: pieces } = onRead.mock.calls;
		expect(pieces).toBeGreaterThan(0);
		await filesOf({ names: 'a', binary: { a: STORED }, onRead });
		expect(onRead).toHaveBeenCalledTimes(2 * pieces);
		expect(pieces).toBeLessThan(10);
	});

	it.each<[string, unknown]>([
		['in lines of 76 characters', IN_LINES],
		['without padding', BASE64.replace(/=+$/, '')],
		['as a data URL', `data:image/png;base64,${BASE64}`],
		['as a Buffer', PNG],
		['as the JSON of a Buffer', PNG.toJSON()],
	])('has the length and the bytes of its content, each time: %s', async (_, data) => {
		const file = { data: data as string, mimeType: 'image/png' };
		const [each] = await filesOf({ binary: { data: file } });
		for (let time = 0; time < 2; time++) {
			const content = await buffer(Readable.from((await each?.open()) ?? []));
			expect([each?.bytes, content.equals(PNG)]).toEqual([PNG.length, true]);
		}
	});

	it.each(['deep.shots[1].file', '$json.shots[0]', "$item._files['my photo.png']"])(
		'can be named by its path where the workflow keeps files in the JSON: %s',
		async (names) => {
			const deep = { shots: [{}, { file: STORED }] };
			const json = { shots: [STORED], deep, _files: { 'my photo.png': STORED } };
			expect(await namesOf({ names, json, binaryMode: 'combined' })).toEqual([names]);
			const missing = `The item has no binary field "${names}"`;
			await expect(namesOf({ names, json })).rejects.toThrow(missing);
		},
	);
});

describe('a file that an expression gives', () => {
	const runs = [{ photo: STORED }, { photo: inMemory() }];
	const form = { node: 'Form', output: undefined, runs };
	const other = { node: "It's", output: 1, runs };

	it.each<[where: string, given: Given]>([
		['on the item itself', { binary: { photo: STORED } }],
		['in an earlier run of a node before it', { other: form }],
		['before a tool’s agent', { other: form, isTool: true }],
		['in another branch', { other, written: "={{ $('It\\'s').first(1).binary.stored }}" }],
		['in another branch', { other, written: '={{ $node["It\'s"].binary.stored }}' }],
		['in another branch', { other, written: '={{ $items("It\'s")[0].binary.stored }}' }],
	])('is opened by its ID where it was put out %s: %j', async (_, given) => {
		const file = { from: undefined, fileName: 'image.png', bytes: PNG.length };
		expect(await filesOf({ names: STORED, ...given })).toMatchObject([file]);
	});

	it('is not opened where its expression names no node that put it out', async () => {
		const written = "={{ $('Form').item.json['It\'s'] }}";
		const onRead = jest.fn();
		await expect(filesOf({ names: STORED, other, written, onRead })).rejects.toThrow(
			`The file in ${NAMES} does not belong to this execution`,
		);
		expect(onRead).not.toHaveBeenCalled();
	});

	it('is the item’s own file of the same description where it holds no content', async () => {
		const described = { mimeType: 'image/png', fileName: 'b.png' };
		const binary = { one: inMemory(), two: inMemory('b.png', PNG.subarray(0, 50)) };
		const files = await filesOf({ names: described, binary });
		expect(files).toMatchObject([{ fileName: 'b.png', bytes: 50 }]);
		for (const names of [{ mimeType: 'image/png' }, { ...described, fileName: 'c.png' }]) {
			await expect(filesOf({ names, binary })).rejects.toThrow('has no content');
		}
	});
});

describe('the URLs of files', () => {
	const A = 'https://a.example/1.png';
	const B = 'http://b.example/2';
	const COMMA = 'https://c.example/w_1,h_2/3';
	const NO_TEXT = `The ${URLS} parameter must be text, but is`;

	it.each<[string, unknown, string[]]>([
		['white space', ` ${A}\n${B}\t${COMMA} `, [A, B, COMMA]],
		['a comma before a URL', `${A},${COMMA}, ${B}`, [A, COMMA, B]],
		['a list', [B, A, COMMA], [B, A, COMMA]],
		['a list as JSON text', ` ["${B}", "${COMMA}"]`, [B, COMMA]],
		['attachments of Airtable', [{ id: 'att1', url: A, filename: '1.png' }, { url: B }], [A, B]],
		['files of Notion', [{ type: 'file', file: { url: A } }, { external: { url: B } }], [A, B]],
		['a single attachment', { url: A }, [A]],
	])('can be several, by %s', async (_, urls, fetched) => {
		expect(await urlsOf(urls)).toEqual(fetched);
	});

	it('are a single one where a single file is taken', async () => {
		expect(await urlsOf(` ${COMMA} `, { field: ONE })).toEqual([COMMA]);
		expect(await urlsOf({ file: { url: A } }, { field: ONE })).toEqual([A]);
		const ofModel = urlsOf([A, B], { aiModel: 'Grok Imagine Pro' });
		await expect(ofModel).rejects.toThrow('Grok Imagine Pro takes only 1 reference image');
	});

	it.each([' ', null, []])(
		'may be missing (%j) for an optional file of a tool alone',
		async (none) => {
			const optional = { ...ONE, limit: { min: 0, max: 1 } };
			for (const given of [{ field: optional }, { field: SEVERAL }, { field: ONE, isTool: true }]) {
				await expect(urlsOf(none, given)).rejects.toThrow(`The ${URLS} parameter is empty`);
			}
			expect(await urlsOf(none, { field: optional, isTool: true })).toEqual([]);
		},
	);

	it.each<[string, unknown, string]>([
		['no scheme', `${A} b.example/2.png`, `"b.example/2.png" in ${URLS} is not a URL`],
		['a number in a list', [A, 7], `Entry 2 of ${URLS} must be a URL, but is a number`],
		['a number', 7, `${NO_TEXT} a number`],
		['an object', { a: A }, `${NO_TEXT} an object`],
		['base64', IN_LINES, `${URLS} ${CONTENT}`],
		['a data URL in a list', `${A} data:image/png;base64,SECRET`, `${URLS} ${CONTENT}`],
	])('are refused for %s', async (_, urls, message) => {
		await expect(urlsOf(urls)).rejects.toThrow(message);
	});

	it('are asked for as a list of URLs where their JSON is broken, and are not quoted', async () => {
		const refused = (await urlsOf('[me:SECRET').catch((error: unknown) => error)) as Failure;
		expect(refused.message).toBe(`The ${URLS} parameter is not valid JSON`);
		expect(refused.facts.description).toContain('so that it is a JSON list of URLs');
		expect(refused.facts.description).not.toContain('SECRET');
	});
});
