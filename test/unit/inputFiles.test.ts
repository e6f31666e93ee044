import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import type {
	IBinaryData,
	IDataObject,
	IExecuteFunctions,
	INode,
	INodeProperties,
	IWorkflowDataProxyData,
} from 'n8n-workflow';
import type { FilesField } from '../../nodes/shared/endpoint';
import type { FileToFetch, RequestFile } from '../../nodes/shared/api/request';
import { readInputFiles } from '../../nodes/shared/engine/check/inputFiles';
import { KnownFiles } from '../../nodes/shared/engine/files/knownFiles';
import { ParameterReader } from '../../nodes/shared/engine/check/parameters';
import { shortened } from '../../nodes/shared/messages';

const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(100_000)]);

const SOURCE: INodeProperties = {
	displayName: 'Reference Images',
	name: 'source',
	type: 'options',
	options: ['all', 'none', 'selected', 'urls'].map((value) => ({ name: value, value })),
	default: 'none',
};
const NAMES: INodeProperties = {
	displayName: 'Field Names',
	name: 'names',
	type: 'string',
	default: 'data',
};
const URLS: INodeProperties = {
	displayName: 'Image URLs',
	name: 'urls',
	type: 'string',
	default: '',
};
const NOUN = { one: 'image', many: 'images' };
const SEVERAL: FilesField = {
	kind: 'files',
	apiName: 'files',
	noun: NOUN,
	source: SOURCE,
	names: NAMES,
	urls: URLS,
	limit: { min: 0, max: 10 },
};
const ONE: FilesField = {
	kind: 'files',
	apiName: 'file',
	noun: NOUN,
	source: SOURCE,
	names: NAMES,
	urls: URLS,
	limit: { min: 1, max: 1 },
};

interface Given {
	field?: FilesField;
	source?: unknown;
	names?: unknown;
	urls?: unknown;
	/** What the item holds beside its files. */
	json?: IDataObject;
	/** The files that the node named "Form", before this one, put out in each of its runs. */
	formRuns?: Record<string, IBinaryData>[];
	/** The file `stored` that the node "It's", in another branch, put out on its second output. */
	elsewhere?: IBinaryData;
	/** The parameter as it is written. */
	written?: string;
	isTool?: boolean;
	binary?: Record<string, IBinaryData>;
	/** What n8n keeps of an item's files in its JSON. */
	combined?: Record<string, IBinaryData>;
	binaryMode?: 'combined' | 'separate';
	max?: number;
	/** How much of a stored file was read. */
	onRead?: (bytes: number) => void;
}

function inMemory(bytes = PNG, more: Partial<IBinaryData> = {}): IBinaryData {
	return { data: bytes.toString('base64'), mimeType: 'image/png', ...more };
}

async function read(given: Given): Promise<(RequestFile | FileToFetch)[]> {
	const { field = SEVERAL, binary, combined, binaryMode = 'separate', max = 10, onRead } = given;
	const node: INode = {
		id: 'node',
		name: 'Node',
		type: `n8n-nodes-aetherforge.test${given.isTool ? 'Tool' : ''}`,
		typeVersion: 1,
		position: [0, 0],
		parameters: { names: given.written ?? '' },
	};
	const parameters: Record<string, unknown> = {
		source: given.source ?? 'selected',
		names: given.names ?? 'data',
		urls: given.urls ?? '',
	};
	const helpers: Partial<IExecuteFunctions['helpers']> = {
		getBinaryStream: async (id) => {
			if (id === 'gone') throw new Error('File not found');
			const chunks = async function* () {
				for (let at = 0; at < PNG.length; at += 1000) {
					onRead?.(1000);
					yield await Promise.resolve(PNG.subarray(at, at + 1000));
				}
			};
			return await Promise.resolve(Readable.from(chunks(), { highWaterMark: 1 }));
		},
		getBinaryMetadata: async () => await Promise.resolve({ fileSize: PNG.length }),
	};
	const json: IDataObject = {
		...given.json,
		...(combined === undefined ? {} : { _files: combined }),
	};
	const itemsOf = (name: string) => ({
		all: (output: number | undefined, run: number) => {
			const { formRuns, elsewhere } = given;
			if (name !== 'Form' && output === 1 && elsewhere) {
				return [{ json: {}, binary: { stored: elsewhere } }];
			}
			const files = name === 'Form' ? formRuns?.[run] : undefined;
			if (files === undefined) throw new Error(`Run ${run} of node "${name}" not found`);
			return [{ json: {}, binary: files }];
		},
	});
	const lastRun = (given.formRuns?.length ?? 0) - 1;
	const proxy: Partial<IWorkflowDataProxyData> = {
		$: itemsOf,
		$node: { Form: { runIndex: lastRun }, Agent: { runIndex: -1 }, "It's": { runIndex: 0 } },
		// Without a function of this name, n8n keeps files in the JSON.
		$item: (binaryMode === 'combined' ? json : () => undefined) as never,
	};
	const context: Partial<IExecuteFunctions> = {
		getNode: () => node,
		getNodeParameter: (name: string) => parameters[name] as never,
		getInputData: () => [binary === undefined ? { json } : { json, binary }],
		getWorkflowDataProxy: () => proxy as IWorkflowDataProxyData,
		// An agent's tool has no nodes before it: those before the agent count.
		getParentNodes: (name: string) =>
			name === (given.isTool ? 'Agent' : 'Node')
				? [{ name: 'Form', type: '', typeVersion: 1, disabled: false }]
				: [],
		getInputSourceData: () => ({ previousNode: 'Agent' }),
		getWorkflow: () => ({ id: 'workflow', active: false }),
		getWorkflowSettings: () => ({ binaryMode }),
		helpers: helpers as IExecuteFunctions['helpers'],
	};
	const whole = context as IExecuteFunctions;
	const limit = { max, subject: 'AetherForge' };
	const reader = new ParameterReader(whole);
	const knownFiles = new KnownFiles(whole);
	const input = { context: whole, reader, knownFiles, isTool: given.isTool ?? false };
	return await readInputFiles(input, field, 0, limit);
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

const THREE = { image_10: inMemory(), image_2: inMemory(), a: inMemory() };

describe('which files are sent', () => {
	it('none where none are wanted, whatever the item has', async () => {
		expect(await filesOf({ source: 'none', binary: THREE })).toEqual([]);
		expect(await filesOf({ source: 'none' })).toEqual([]);
	});

	it('all of the item’s in natural order, so that image_2 comes before image_10', async () => {
		expect(await namesOf({ source: 'all', binary: THREE })).toEqual(['a', 'image_2', 'image_10']);
	});

	it('any number of fields in the order of their numbers', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.uniqueArray(fc.nat({ max: 200 }), { minLength: 1, maxLength: 10 }),
				async (numbers) => {
					const small = inMemory(PNG.subarray(0, 40));
					const binary = Object.fromEntries(numbers.map((each) => [`image_${each}`, small]));
					const sorted = [...numbers].sort((a, b) => a - b).map((each) => `image_${each}`);
					expect(await namesOf({ source: 'all', binary })).toEqual(sorted);
				},
			),
			{ numRuns: 20 },
		);
	});

	it.each<[unknown, string[]]>([
		['image_10, a', ['image_10', 'a']],
		[' a ,, image_2, ', ['a', 'image_2']],
		[
			['image_2', 'a'],
			['image_2', 'a'],
		],
		['a', ['a']],
		['a, a', ['a', 'a']],
	])('those that %j names, in its order', async (names, sent) => {
		expect(await namesOf({ names, binary: THREE })).toEqual(sent);
	});

	it.each([
		['Photo, front', ['Photo, front']],
		['a, Photo, front, image_2', ['a', 'Photo, front', 'image_2']],
		['Photo, front, Photo', ['Photo, front', 'Photo']],
	])('those of %j, where a comma may be part of a name', async (names, sent) => {
		const binary = { ...THREE, 'Photo, front': inMemory(), Photo: inMemory() };
		expect(await namesOf({ names, binary })).toEqual(sent);
	});

	it('fields of any name, also one that JavaScript knows or that holds a comma', async () => {
		const binary = Object.fromEntries([
			['__proto__', inMemory()],
			['a, b', inMemory()],
		]);
		expect(await namesOf({ names: ['__proto__', 'a, b'], binary })).toEqual(['__proto__', 'a, b']);
		expect(await namesOf({ field: ONE, names: 'a, b', binary })).toEqual(['a, b']);
		await expect(namesOf({ names: 'toString', binary })).rejects.toThrow(
			'The item has no binary field "toString"',
		);
	});

	it('not what is null in place of a file, and one whose name has spaces around it', async () => {
		const binary = { gone: null as never, ' my photo ': inMemory() };
		expect(await namesOf({ source: 'all', binary })).toEqual([' my photo ']);
		for (const field of [SEVERAL, ONE]) {
			expect(await namesOf({ field, names: ' my photo ', binary })).toEqual([' my photo ']);
			await expect(read({ field, names: 'gone', binary })).rejects.toThrow(
				'no binary field "gone"',
			);
		}
	});

	it('those in the item’s JSON only where the workflow keeps its files there', async () => {
		const combined = { photo: inMemory() };
		expect(await namesOf({ names: 'photo', combined, binaryMode: 'combined' })).toEqual(['photo']);
		await expect(namesOf({ names: 'photo', combined })).rejects.toThrow(
			'The item has no binary field "photo"',
		);
	});

	it.each<[string, Given, string]>([
		['no name', { names: ' , ' }, 'The "Field Names" parameter does not name a binary field'],
		[
			'text beside a file, as the editor writes it when a file is dragged',
			{ names: 'data [object Object]' },
			'"Field Names" contains both text and a file',
		],
		['null', { names: [null] }, 'Entry 1 of "Field Names" is empty'],
		['an object', { names: { a: 1 } }, 'The "Field Names" parameter must be text, but is'],
		[
			'another source',
			{ source: 'url' },
			'"Reference Images" must be "all", "none", "selected", or "urls"',
		],
		['a name that is not there', { names: 'x' }, 'The item has no binary field "x"'],
		['all of nothing', { source: 'all', binary: {} }, 'The item has no binary fields to send'],
		['too many', { source: 'all', max: 2 }, 'AetherForge takes up to 2 images, but the item has 3'],
		[
			'base64 in place of a name',
			{ names: PNG.toString('base64').replace(/.{76}/g, '$&\r\n') },
			'"Field Names" contains the content of a file, not where to find it',
		],
		['a list with a hole', { names: ['a', undefined] }, 'Entry 2 of "Field Names" is empty'],
		[
			'a data URL in place of a name',
			{ names: `data:image/png;base64,${PNG.toString('base64')}` },
			'"Field Names" contains the content of a file, not where to find it',
		],
		[
			'a URL in place of a name, without what is secret in it',
			{ names: 's3://KEY:SE/CRET@bucket/1.png?signature=SECRET' },
			'The item has no binary field "s3://***@bucket/1.png"',
		],
	])('none, but a message, for %s', async (_, given, message) => {
		await expect(filesOf({ binary: THREE, ...given })).rejects.toThrow(message);
	});
});

describe('a file that is sent', () => {
	it('has the type of its bytes, its size, and its name without folders and control characters', async () => {
		const binary = {
			data: inMemory(PNG, { fileName: 'C:\\photos\\my\r\n "cat".png', mimeType: 'text/plain' }),
		};
		const [file] = await filesOf({ binary });
		expect(file).toMatchObject({
			apiName: 'files',
			from: { field: 'data' },
			fileName: 'my "cat".png',
			mimeType: 'image/png',
			bytes: PNG.length,
		});
	});

	it.each(['', '/', 'folder/', '\n'])(
		'is named after its field where its name is %j',
		async (fileName) => {
			const [file] = await filesOf({ binary: { data: inMemory(PNG, { fileName }) } });
			expect(file?.fileName).toBe('data.png');
		},
	);

	it.each<[string, IBinaryData]>([
		['in memory', inMemory()],
		['in n8n’s storage', { id: 'stored', data: 'filesystem-v2', mimeType: 'image/png' }],
	])('can be opened again and again, from its start: %s', async (_, data) => {
		const [file] = await filesOf({ binary: { data } });
		for (let time = 0; time < 2; time++) {
			const opened = await file?.open();
			expect((await buffer(Readable.from(opened ?? []))).equals(PNG)).toBe(true);
		}
	});

	it('is not read beyond its start while it is checked', async () => {
		let bytes = 0;
		await filesOf({
			binary: { data: { id: 'stored', data: 'filesystem-v2', mimeType: 'image/png' } },
			onRead: (more) => {
				bytes += more;
			},
		});
		expect(bytes).toBeGreaterThan(0);
		expect(bytes).toBeLessThan(PNG.length / 10);
	});

	it('is opened once for all of the times that it is sent', async () => {
		let bytes = 0;
		const stored: IBinaryData = { id: 'stored', data: 'filesystem-v2', mimeType: 'image/png' };
		const onRead = (more: number): void => {
			bytes += more;
		};
		await filesOf({ names: 'a', binary: { a: stored }, onRead });
		const once = bytes;
		const files = await filesOf({ names: 'a, b', binary: { a: stored, b: stored }, onRead });
		expect(files.map(({ fileName }) => fileName)).toEqual(['a.png', 'b.png']);
		expect(bytes).toBe(2 * once);
	});

	const base64 = PNG.toString('base64');
	it.each<[string, unknown]>([
		['in lines of 76 characters', base64.replace(/.{76}/g, '$&\r\n')],
		['with a line break at its end', `${base64}\n`],
		['without padding', base64.replace(/=+$/, '')],
		['as a data URL', `data:image/png;base64,${base64}`],
		['as a Buffer', PNG],
		['as the JSON of a Buffer', PNG.toJSON()],
	])('has the length and the bytes of its content: %s', async (_, data) => {
		for (const given of [
			{ names: { data, mimeType: 'image/png' } },
			{ binary: { data: { data: data as string, mimeType: 'image/png' } } },
		]) {
			const [file] = await filesOf(given);
			expect(file?.bytes).toBe(PNG.length);
			const sent = await buffer(Readable.from((await file?.open()) ?? []));
			expect(sent.equals(PNG)).toBe(true);
		}
	});

	it.each<[string, IBinaryData, string]>([
		[
			'an empty one',
			inMemory(Buffer.alloc(0)),
			'The file "data" in the binary field "data" is empty',
		],
		[
			'one that is no image',
			inMemory(Buffer.from('hello'), { fileName: 'a.png' }),
			'The file "a.png" in the binary field "data" is not an image',
		],
		[
			'one that is gone',
			{ id: 'gone', data: 'filesystem-v2', mimeType: 'image/png' },
			'The file "data" in the binary field "data" cannot be read',
		],
	])('is never %s', async (_, data, message) => {
		await expect(filesOf({ binary: { data } })).rejects.toThrow(message);
	});
});

const STORED: IBinaryData = { id: 'stored', data: 'filesystem-v2', mimeType: 'image/png' };

describe('a file that an expression gives', () => {
	it('can stand beside names in a list, in its order', async () => {
		const names = ['a', inMemory(PNG, { fileName: 'two.png' }), 'image_2, a'];
		const binary = { ...THREE, 'image_2, a': inMemory() };
		expect(await namesOf({ names, binary })).toEqual(['a', undefined, 'image_2, a']);
		expect((await filesOf({ names, binary })).map(({ fileName }) => fileName)).toEqual([
			'a.png',
			'two.png',
			'image_2, a.png',
		]);
	});

	it.each<[string, Given]>([
		['of its own', { binary: { photo: STORED } }],
		['of a node before this one', { formRuns: [{ photo: STORED }] }],
		['of an earlier run of that node', { formRuns: [{ photo: STORED }, { photo: inMemory() }] }],
		[
			'of a node before the agent whose tool this is',
			{ formRuns: [{ photo: STORED }], isTool: true },
		],
		['of its own in its JSON', { combined: { photo: STORED }, binaryMode: 'combined' }],
		...[
			"={{ $('It\\'s').first(1).binary.stored }}",
			'={{ $( "It\'s" ).item.binary.stored }}',
			'={{ $node["It\'s"].binary.stored }}',
			'={{ $items("It\'s")[0].binary.stored }}',
		].map((written): [string, Given] => [
			`of a node in another branch that is named: ${written}`,
			{ elsewhere: STORED, written },
		]),
	])('is opened by its ID where the item has a file %s', async (_, given) => {
		const [file] = await filesOf({ names: STORED, ...given });
		expect(file).toMatchObject({ from: undefined, fileName: 'image.png', bytes: PNG.length });
	});

	it.each<[string, Given]>([
		['nothing before this node put it out', { formRuns: [{ photo: inMemory() }] }],
		['only the item’s JSON names it', { json: { photo: { ...STORED } } }],
		[
			'a node in another branch put it out, but is not named',
			{ elsewhere: STORED, written: "={{ $('Form').item.json['It\'s'] }}" },
		],
		['the JSON of a workflow that keeps files elsewhere names it', { combined: { photo: STORED } }],
	])('is not opened by its ID where %s', async (_, given) => {
		let bytes = 0;
		const onRead = (more: number): void => {
			bytes += more;
		};
		await expect(filesOf({ names: STORED, onRead, ...given })).rejects.toThrow(
			'The file in "Field Names" does not belong to this execution',
		);
		expect(bytes).toBe(0);
	});

	it('needs no ID where it holds its content', async () => {
		const [file] = await filesOf({ field: ONE, names: inMemory() });
		expect(file).toMatchObject({ from: undefined, bytes: PNG.length });
	});

	it('is the item’s own file of the same description where it holds no content', async () => {
		const described = { mimeType: 'image/png', fileName: 'b.png' };
		const binary = {
			one: inMemory(PNG, { fileName: 'a.png' }),
			two: inMemory(PNG.subarray(0, 50), { fileName: 'b.png' }),
		};
		expect(await filesOf({ names: described, binary })).toMatchObject([
			{ fileName: 'b.png', bytes: 50 },
		]);
		for (const names of [{ mimeType: 'image/png' }, { ...described, fileName: 'c.png' }]) {
			await expect(filesOf({ names, binary })).rejects.toThrow(
				'The file in "Field Names" has no content',
			);
		}
	});

	it.each([
		'_files.photo',
		'shots[0]',
		'deep.shots[1].file',
		'$json.shots[0]',
		"$item._files['my photo.png']",
	])('can be named by its path %s where the workflow keeps files in the JSON', async (names) => {
		const json = { shots: [STORED], deep: { shots: [{}, { file: STORED }] } } as object;
		const given: Given = {
			names,
			json: json as IDataObject,
			combined: { photo: STORED, 'my photo.png': STORED },
		};
		expect(await namesOf({ ...given, binaryMode: 'combined' })).toEqual([names]);
		await expect(namesOf(given)).rejects.toThrow(`The item has no binary field "${names}"`);
	});

	it.each(['shots[1]', 'shots', 'text.length', '__proto__', 'constructor.name'])(
		'is not found at the path %s, where there is none',
		async (names) => {
			const json = { shots: [STORED], text: 'a' } as object;
			await expect(
				namesOf({ names, json: json as IDataObject, binaryMode: 'combined' }),
			).rejects.toThrow(`The item has no binary field "${names}"`);
		},
	);
});

describe('the URLs of files', () => {
	const [A, B, COMMA] = [
		'https://a.example/1.png',
		'http://b.example/2',
		'https://c.example/w_1,h_2/3',
	];

	it.each<[string, unknown, string[]]>([
		['white space', ` ${A}\n${B}\t${COMMA} `, [A, B, COMMA]],
		['a comma before a URL', `${A},${COMMA}, ${B}`, [A, COMMA, B]],
		['a list', [B, A, COMMA], [B, A, COMMA]],
		['a list as JSON text', ` ["${B}", "${COMMA}"]`, [B, COMMA]],
		['attachments of Airtable', [{ id: 'att1', url: A, filename: '1.png' }, { url: B }], [A, B]],
		['files of Notion', [{ type: 'file', file: { url: A } }, { external: { url: B } }], [A, B]],
		['attachments as JSON text', `[{"url": "${A}"}]`, [A]],
		['a single attachment', { url: A }, [A]],
	])('can be several, by %s', async (_, urls, fetched) => {
		expect(await urlsOf(urls)).toEqual(fetched);
	});

	it('is a single one where a single file is taken, and may not be missing where one is needed', async () => {
		expect(await urlsOf(` ${COMMA} `, { field: ONE })).toEqual([COMMA]);
		expect(await urlsOf({ file: { url: A } }, { field: ONE })).toEqual([A]);
		await expect(urlsOf([A, B], { field: ONE, max: 1 })).rejects.toThrow('takes only 1 image');
	});

	it.each<[string, unknown]>([
		['blank', ' '],
		['null', null],
		['an empty list', []],
	])(
		'may not be missing where URLs were chosen, unless by an optional file of a tool: %s',
		async (_, none) => {
			const optional = { ...ONE, limit: { min: 0, max: 1 } };
			for (const field of [ONE, optional, SEVERAL]) {
				await expect(urlsOf(none, { field })).rejects.toThrow(
					'The "Image URLs" parameter is empty',
				);
			}
			expect(await urlsOf(none, { field: optional, isTool: true })).toEqual([]);
			await expect(urlsOf(none, { field: ONE, isTool: true })).rejects.toThrow('is empty');
		},
	);

	it.each<[string, unknown, string]>([
		['another scheme', 'file:///etc/passwd', '"file:///…/passwd" in "Image URLs" is not a URL'],
		['no scheme', `${A} b.example/2.png`, '"b.example/2.png" in "Image URLs" is not a URL'],
		['a number in a list', [A, 7], 'Entry 2 of "Image URLs" must be a URL, but is a number'],
		['a gap in a list', [null, A], 'Entry 1 of "Image URLs" must be a URL, but is empty'],
		[
			'an object in JSON',
			`["${A}", {}]`,
			'Entry 2 of "Image URLs" must be a URL, but is an object',
		],
		['a number', 7, 'The "Image URLs" parameter must be text, but is a number'],
		['an object', { a: A }, 'The "Image URLs" parameter must be text, but is an object'],
		['broken JSON', `["${A}"`, 'The "Image URLs" parameter is not valid JSON'],
		['too many', `${A} `.repeat(11), 'AetherForge takes up to 10 images, but "Image URLs" has 11'],
		[
			'base64',
			PNG.toString('base64').replace(/.{76}/g, '$&\n'),
			'"Image URLs" contains the content of a file, not where to find it',
		],
		[
			'a data URL in a list',
			`${A} data:image/png;base64,SECRET`,
			'"Image URLs" contains the content of a file, not where to find it',
		],
	])('are refused for %s', async (_, urls, message) => {
		await expect(urlsOf(urls)).rejects.toThrow(message);
	});

	it('are asked for as a list of URLs where their JSON is broken', async () => {
		await expect(urlsOf(`["${A}"`)).rejects.toMatchObject({
			facts: {
				description: expect.stringContaining('so that it is a JSON list of URLs') as string,
			},
		});
	});

	it('are all that an agent’s tool has beside single files: no item, and so not all of its fields', async () => {
		expect(await urlsOf(A, { isTool: true })).toEqual([A]);
		await expect(read({ source: 'all', binary: THREE, isTool: true })).rejects.toThrow(
			'"Reference Images" must be "none", "selected", or "urls"',
		);
	});

	it.each([
		[11, 10, 'Enter fewer URLs.'],
		[11, 5, 'Enter fewer URLs.'],
		[6, 5, 'Enter fewer URLs, or choose another.'],
	])('are %i, more than %i: the advice is only what helps', async (count, max, advice) => {
		const by = { apiName: 'model', max: { small: 5 }, advice: 'or choose another' };
		const field = { ...SEVERAL, limit: { min: 0, max: 10, by } };
		const refused = urlsOf(`${A} `.repeat(count), { field, max });
		await expect(refused).rejects.toMatchObject({ facts: { description: advice } });
	});

	it('are not quoted where their JSON is broken', async () => {
		const refused: unknown = await urlsOf('[https://me:SECRET@a.example]').catch(
			(error: unknown) => error,
		);
		expect(refused).toMatchObject({
			facts: { description: expect.not.stringContaining('SECRET') as string },
		});
	});

	it.each([
		[`${A}?X-Signature=secret#secret`, A],
		['https://me:secret@a.example/1.png', 'https://***@a.example/1.png'],
		['ftp://me:sec@ret@a.example/1.png?secret', 'ftp://***@a.example/1.png'],
		['s3://KEY:SE/C?RET@bucket/1.png', 's3://***'],
		['s3://KEY:SE/CRET@bucket/1.png', 's3://***@bucket/1.png'],
		['user:secret@host/1.png', '***@host/1.png'],
		['https://user:se/cret@host/1.png', 'https://***@host/1.png'],
		[`${A}?mail=me@b.example&key=secret`, A],
		['data:image/png;base64,secret', 'data:image/png;…'],
		[`${A}#secret`, A],
	])('are shown without what may be secret: %s', async (url, shown) => {
		expect(shortened(url)).toBe(shown);
		const unusable = url.replace(/^https?:/, 'ftp:');
		const refused: unknown = await urlsOf(unusable).catch((error: unknown) => error);
		expect(String(refused)).toContain('"Image URLs"');
		expect(String(refused)).not.toMatch(/secret|ret@|cret/i);
	});
});
