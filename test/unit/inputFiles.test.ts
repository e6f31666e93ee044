import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { IBinaryData } from 'n8n-workflow';

import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import type { FileToFetch, RequestFile } from '../../nodes/shared/api/request';
import type { FilesField } from '../../nodes/shared/endpoint';
import { readInputFiles } from '../../nodes/shared/engine/check/inputFiles';
import { ParameterReader } from '../../nodes/shared/engine/check/parameters';
import { KnownFiles } from '../../nodes/shared/engine/files/knownFiles';
import type { Failure } from '../../nodes/shared/failure';
import { fakeContext } from './fakeContext';

type Files = Record<string, IBinaryData>;

const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(100_000)]);
const BASE64 = PNG.toString('base64');
const IN_LINES = BASE64.replace(/.{76}/g, '$&\r\n');
const CONTENT = 'contains the content of a file, not where to find it';
const STORED: IBinaryData = { id: 'stored', data: 'filesystem-v2', mimeType: 'image/png' };

const [declared] = generateImage.fields.filter((field) => field.kind === 'files');
if (!declared) throw new Error('Image Generate takes no files');
const SEVERAL: FilesField = { ...declared, limit: { min: 0, max: 10 } };
const ONE: FilesField = { ...SEVERAL, limit: { min: 1, max: 1 } };

interface Given {
	field?: FilesField;
	source?: unknown;
	names?: unknown;
	urls?: unknown;
	/** What the item holds beside its files. */
	json?: object;
	/** The files that the node "Form", before this one, put out in each of its runs. */
	formRuns?: Files[];
	/** The file `stored` that the node "It's", in another branch, put out on its second output. */
	elsewhere?: IBinaryData;
	/** The parameter as it is written. */
	written?: string;
	isTool?: boolean;
	binary?: Files;
	/** What n8n keeps of an item's files in its JSON. */
	combined?: Files;
	binaryMode?: 'combined' | 'separate';
	max?: number;
	/** How much of a stored file was read. */
	onRead?: (bytes: number) => void;
}

function inMemory(fileName?: string, bytes = PNG): IBinaryData {
	const data = bytes.toString('base64');
	return { data, mimeType: 'image/png', ...(fileName === undefined ? {} : { fileName }) };
}

async function read(given: Given): Promise<(RequestFile | FileToFetch)[]> {
	const { field = SEVERAL, source = 'selected', names = 'data', urls = '' } = given;
	const { json = {}, formRuns = [], elsewhere, written = '', isTool = false } = given;
	const { binary, combined, binaryMode = 'separate', max = 10, onRead } = given;
	const parameters: Record<string, unknown> = {
		[field.source.name]: source,
		[field.names.name]: names,
		[field.urls.name]: urls,
	};
	const item = {
		json: { ...json, ...(combined && { _files: combined }) },
		...(binary && { binary }),
	};
	async function* chunks(): AsyncGenerator<Buffer> {
		for (let at = 0; at < PNG.length; at += 1000) {
			onRead?.(1000);
			yield await Promise.resolve(PNG.subarray(at, at + 1000));
		}
	}
	const helpers = {
		getBinaryStream: () => Promise.resolve(Readable.from(chunks(), { highWaterMark: 1 })),
		getBinaryMetadata: () => Promise.resolve({ fileSize: PNG.length }),
	};
	const itemsOf = (name: string) => ({
		all: (output: number | undefined, run: number) => {
			const other = output === 1 && elsewhere ? { stored: elsewhere } : undefined;
			const files = name === 'Form' ? formRuns[run] : other;
			if (files === undefined) throw new Error(`Run ${run} of node "${name}" not found`);
			return [{ json: {}, binary: files }];
		},
	});
	const proxy = {
		$: itemsOf,
		$node: {
			Form: { runIndex: formRuns.length - 1 },
			Agent: { runIndex: -1 },
			"It's": { runIndex: 0 },
		},
		// Without a function of this name, n8n keeps files in the JSON.
		$item: binaryMode === 'combined' ? json : () => undefined,
	};
	const context = fakeContext(
		{ [field.names.name]: written },
		{
			getNodeParameter: (name: string) => parameters[name],
			getInputData: () => [item],
			getWorkflowDataProxy: () => proxy,
			// An agent's tool has no nodes before it: those before the agent count.
			getParentNodes: (name: string) =>
				name === (isTool ? 'Agent' : 'Node') ? [{ name: 'Form', type: '' }] : [],
			getInputSourceData: () => ({ previousNode: 'Agent' }),
			getWorkflow: () => ({ id: 'workflow', active: false }),
			getWorkflowSettings: () => ({ binaryMode }),
			helpers,
		},
		isTool ? 'imageGenerateTool' : 'imageGenerate',
	);
	const reader = new ParameterReader(context);
	const input = { context, reader, knownFiles: new KnownFiles(context), isTool };
	return await readInputFiles(input, field, 0, { max, subject: 'AetherForge' });
}

async function filesOf(given: Given): Promise<RequestFile[]> {
	return (await read(given)).map((file) => {
		if ('urlToFetch' in file) throw new Error('this file has to be fetched first');
		return file;
	});
}

/** The names of binary fields; `undefined` for a file that an expression gave. */
async function namesOf(given: Given): Promise<unknown[]> {
	return (await filesOf(given)).map(({ from }) => from && 'field' in from && from.field);
}

async function urlsOf(urls: unknown, given: Given = {}): Promise<unknown[]> {
	const files = await read({ source: 'urls', urls, ...given });
	return files.map((file) => 'urlToFetch' in file && file.urlToFetch);
}

const THREE: Files = { image_10: inMemory(), image_2: inMemory(), a: inMemory() };

describe('the binary fields that are sent', () => {
	const COMMAS: Files = Object.fromEntries(
		['a', 'image_2', 'Photo', 'Photo, front', '__proto__'].map((name) => [name, inMemory()]),
	);

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
	])('are those that %j names, in its order', async (names, sent, binary) => {
		expect(await namesOf({ names, binary })).toEqual(sent);
	});

	it('are all in natural order, so that image_2 comes before image_10, or none', async () => {
		const binary = { ...THREE, gone: null as never };
		expect(await namesOf({ source: 'all', binary })).toEqual(['a', 'image_2', 'image_10']);
		expect(await namesOf({ source: 'none', binary })).toEqual([]);
	});

	it.each<[string, names: unknown, string]>([
		['a name that JavaScript knows', 'toString', 'no binary field "toString"'],
		['null in place of a file', 'gone', 'The item has no binary field "gone"'],
		['text beside a dragged file', 'data [object Object]', 'contains both text and a file'],
		['an object', { a: 1 }, 'The "Input Data Field Name(s)" parameter must be text, but is'],
		['a list with a hole', ['a', undefined], 'Entry 2 of "Input Data Field Name(s)" is empty'],
		['base64', IN_LINES, `"Input Data Field Name(s)" ${CONTENT}`],
		['a data URL', `data:image/png;base64,${BASE64}`, `"Input Data Field Name(s)" ${CONTENT}`],
		['a URL with secrets', 's3://KEY:SE/CRET@bucket/1.png?SECRET', '"s3://***@bucket/1.png"'],
	])('are none, but a message, for %s', async (_, names, message) => {
		const binary = { ...THREE, gone: null as never };
		await expect(filesOf({ binary, names })).rejects.toThrow(message);
	});
});

describe('a file that is sent', () => {
	it('is opened once for all of the times that it is sent, and not read beyond its start', async () => {
		let bytes = 0;
		const onRead = (more: number): void => {
			bytes += more;
		};
		const files = await filesOf({ names: 'a, b', binary: { a: STORED, b: STORED }, onRead });
		expect(files.map(({ fileName }) => fileName)).toEqual(['a.png', 'b.png']);
		expect(bytes).toBeGreaterThan(0);
		const twice = bytes;
		await filesOf({ names: 'a', binary: { a: STORED }, onRead });
		expect(bytes).toBe(2 * twice);
		expect(bytes).toBeLessThan(PNG.length / 10);
	});

	it.each<[string, unknown]>([
		['in lines of 76 characters', IN_LINES],
		['without padding', BASE64.replace(/=+$/, '')],
		['as a data URL', `data:image/png;base64,${BASE64}`],
		['as a Buffer', PNG],
		['as the JSON of a Buffer', PNG.toJSON()],
	])('has the length and the bytes of its content, each time: %s', async (_, data) => {
		const file = { data: data as string, mimeType: 'image/png' };
		const files = [
			...(await filesOf({ names: file })),
			...(await filesOf({ binary: { data: file } })),
		];
		for (const each of [...files, ...files]) {
			const content = await buffer(Readable.from(await each.open()));
			expect([each.bytes, content.equals(PNG)]).toEqual([PNG.length, true]);
		}
	});
});

describe('a file that an expression gives', () => {
	it('can stand beside names in a list, in its order', async () => {
		const names = ['a', inMemory('two.png'), 'image_2, a'];
		const files = await filesOf({ names, binary: { ...THREE, 'image_2, a': inMemory() } });
		expect(files.map(({ from, fileName }) => [from, fileName])).toEqual([
			[{ field: 'a' }, 'a.png'],
			[undefined, 'two.png'],
			[{ field: 'image_2, a' }, 'image_2, a.png'],
		]);
	});

	const NOT_NAMED = "={{ $('Form').item.json['It\'s'] }}";
	const OTHER_BRANCH = [
		"={{ $('It\\'s').first(1).binary.stored }}",
		'={{ $( "It\'s" ).item.binary.stored }}',
		'={{ $node["It\'s"].binary.stored }}',
		'={{ $items("It\'s")[0].binary.stored }}',
	];

	it.each<[where: string, isOpened: boolean, given: Given]>([
		['the item itself has it', true, { binary: { photo: STORED } }],
		['its JSON has it, but no files are kept there', false, { combined: { photo: STORED } }],
		['a node before it put it out', true, { formRuns: [{ photo: STORED }] }],
		['an earlier run of that node put it out', true, { formRuns: [{ photo: STORED }, THREE] }],
		['that node put out another one', false, { formRuns: [THREE] }],
		['a node before a tool’s agent did', true, { formRuns: [{ photo: STORED }], isTool: true }],
		...[...OTHER_BRANCH, NOT_NAMED].map((written): [string, boolean, Given] => [
			`a node in another branch put it out, for ${written}`,
			written !== NOT_NAMED,
			{ elsewhere: STORED, written },
		]),
	])('is opened by its ID where %s: %s', async (_, isOpened, given) => {
		const onRead = jest.fn();
		const files = filesOf({ names: STORED, onRead, ...given });
		if (isOpened) {
			const file = { from: undefined, fileName: 'image.png', bytes: PNG.length };
			await expect(files).resolves.toMatchObject([file]);
		} else {
			await expect(files).rejects.toThrow(
				'"Input Data Field Name(s)" does not belong to this execution',
			);
			expect(onRead).not.toHaveBeenCalled();
		}
	});

	it('is the item’s own file of the same description where it holds no content', async () => {
		const described = { mimeType: 'image/png', fileName: 'b.png' };
		const binary = { one: inMemory('a.png'), two: inMemory('b.png', PNG.subarray(0, 50)) };
		const files = await filesOf({ names: described, binary });
		expect(files).toMatchObject([{ fileName: 'b.png', bytes: 50 }]);
		for (const names of [{ mimeType: 'image/png' }, { ...described, fileName: 'c.png' }]) {
			await expect(filesOf({ names, binary })).rejects.toThrow(
				'The file in "Input Data Field Name(s)" has no content',
			);
		}
	});

	const PATHS = ['deep.shots[1].file', '$json.shots[0]', "$item._files['my photo.png']"];
	const NO_PATHS = ['shots[1]', 'shots', 'text.length', '__proto__', 'constructor.name'];

	it.each([...PATHS, ...NO_PATHS])('can be named by its path in the JSON: %s', async (names) => {
		const given: Given = {
			names,
			json: { shots: [STORED], deep: { shots: [{}, { file: STORED }] }, text: 'a' },
			combined: { 'my photo.png': STORED },
		};
		const missing = `The item has no binary field "${names}"`;
		const found = namesOf({ ...given, binaryMode: 'combined' });
		if (PATHS.includes(names)) await expect(found).resolves.toEqual([names]);
		else await expect(found).rejects.toThrow(missing);
		// Unless the workflow keeps its files there.
		await expect(namesOf(given)).rejects.toThrow(missing);
	});
});

describe('the URLs of files', () => {
	const A = 'https://a.example/1.png';
	const B = 'http://b.example/2';
	const COMMA = 'https://c.example/w_1,h_2/3';

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
		await expect(urlsOf([A, B], { field: ONE, max: 1 })).rejects.toThrow(
			'takes only 1 reference image',
		);
	});

	it.each<[string, unknown]>([
		['blank', ' '],
		['null', null],
		['an empty list', []],
	])('may be missing for an optional file of a tool alone: %s', async (_, none) => {
		const optional = { ...ONE, limit: { min: 0, max: 1 } };
		const empty = 'The "Reference Image URL(s)" parameter is empty';
		for (const field of [ONE, optional, SEVERAL]) {
			await expect(urlsOf(none, { field })).rejects.toThrow(empty);
		}
		await expect(urlsOf(none, { field: ONE, isTool: true })).rejects.toThrow(empty);
		expect(await urlsOf(none, { field: optional, isTool: true })).toEqual([]);
	});

	it.each<[string, unknown, string]>([
		[
			'no scheme',
			`${A} b.example/2.png`,
			'"b.example/2.png" in "Reference Image URL(s)" is not a URL',
		],
		[
			'a number in a list',
			[A, 7],
			'Entry 2 of "Reference Image URL(s)" must be a URL, but is a number',
		],
		['a number', 7, 'The "Reference Image URL(s)" parameter must be text, but is a number'],
		[
			'an object',
			{ a: A },
			'The "Reference Image URL(s)" parameter must be text, but is an object',
		],
		['base64', IN_LINES, `"Reference Image URL(s)" ${CONTENT}`],
		[
			'a data URL in a list',
			`${A} data:image/png;base64,SECRET`,
			`"Reference Image URL(s)" ${CONTENT}`,
		],
	])('are refused for %s', async (_, urls, message) => {
		await expect(urlsOf(urls)).rejects.toThrow(message);
	});

	it('are asked for as a list of URLs where their JSON is broken, and are not quoted', async () => {
		const refused = (await urlsOf('[me:SECRET').catch((error: unknown) => error)) as Failure;
		expect(refused.message).toBe('The "Reference Image URL(s)" parameter is not valid JSON');
		expect(refused.facts.description).toContain('so that it is a JSON list of URLs');
		expect(refused.facts.description).not.toContain('SECRET');
	});
});
