import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import type { IBinaryData, IExecuteFunctions, INode, INodeProperties } from 'n8n-workflow';
import type { FilesField, RequestFile } from '../../nodes/shared/endpoint';
import { readInputFiles } from '../../nodes/shared/engine/inputFiles';
import { ParameterReader } from '../../nodes/shared/engine/parameters';

const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(100_000)]);

const SOURCE: INodeProperties = {
	displayName: 'Reference Images',
	name: 'source',
	type: 'options',
	options: ['all', 'none', 'selected'].map((value) => ({ name: value, value })),
	default: 'none',
};
const NAMES: INodeProperties = {
	displayName: 'Field Names',
	name: 'names',
	type: 'string',
	default: 'data',
};
const NOUN = { one: 'image', many: 'images' };
const SEVERAL: FilesField = {
	kind: 'files',
	apiName: 'files',
	noun: NOUN,
	source: SOURCE,
	names: NAMES,
	limit: { min: 0, max: 10 },
};
const ONE: FilesField = {
	kind: 'files',
	apiName: 'file',
	noun: NOUN,
	names: NAMES,
	limit: { min: 1, max: 1 },
};

interface Given {
	field?: FilesField;
	source?: unknown;
	names?: unknown;
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

async function filesOf(given: Given): Promise<RequestFile[]> {
	const { field = SEVERAL, binary, combined, binaryMode = 'separate', max = 10, onRead } = given;
	const node: INode = {
		id: 'node',
		name: 'Node',
		type: 'n8n-nodes-aetherforge.test',
		typeVersion: 1,
		position: [0, 0],
		parameters: {},
	};
	const parameters: Record<string, unknown> = {
		source: given.source ?? 'selected',
		names: given.names ?? 'data',
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
	const json = combined === undefined ? {} : { _files: combined as object as never };
	const context: Partial<IExecuteFunctions> = {
		getNode: () => node,
		getNodeParameter: (name: string) => parameters[name] as never,
		getInputData: () => [binary === undefined ? { json } : { json, binary }],
		getWorkflowSettings: () => ({ binaryMode }),
		helpers: helpers as IExecuteFunctions['helpers'],
	};
	const whole = context as IExecuteFunctions;
	const limit = { max, subject: 'AetherForge' };
	return await readInputFiles(whole, new ParameterReader(whole), field, 0, limit);
}

async function namesOf(given: Given): Promise<string[]> {
	return (await filesOf(given)).map(({ fieldName }) => fieldName);
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

	it('those in the item’s JSON only where the workflow keeps its files there', async () => {
		const combined = { photo: inMemory() };
		expect(await namesOf({ names: 'photo', combined, binaryMode: 'combined' })).toEqual(['photo']);
		await expect(namesOf({ names: 'photo', combined })).rejects.toThrow(
			'The item has no binary field "photo"',
		);
	});

	it.each<[string, Given, string]>([
		['no name', { names: ' , ' }, 'The "Field Names" parameter does not name a binary field'],
		['null', { names: [null] }, 'The "Field Names" parameter does not name a binary field'],
		['an object', { names: { a: 1 } }, 'The "Field Names" parameter must be text, but is'],
		['another source', { source: 'url' }, '"Reference Images" must be "all", "none" or "selected"'],
		['a name that is not there', { names: 'x' }, 'The item has no binary field "x"'],
		['all of nothing', { source: 'all', binary: {} }, 'The item has no binary fields to send'],
		['too many', { source: 'all', max: 2 }, 'AetherForge takes up to 2 images, but the item has 3'],
		[
			'too few',
			{ field: { ...SEVERAL, limit: { min: 2, max: 4 } }, names: 'a' },
			'AetherForge needs at least 2 images, but the item has 1',
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
			fieldName: 'data',
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
