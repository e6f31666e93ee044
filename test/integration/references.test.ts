import { createHash } from 'node:crypto';
import type { IBinaryData, IBinaryKeyData } from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import { storeBinary, type EngineOptions, type EngineResult } from '../support/engine';
import { useScene } from '../support/scene';

const PNG = tinyPicture('a picture', 'png');
const GIF = tinyPicture('another', 'gif');
/** Larger than any chunk on the way, and no two parts of it alike. */
const LARGE_PNG = Buffer.concat([
	PNG,
	...Array.from({ length: 40_000 }, (_, n) => Buffer.from(`${n},`)),
]);

// Which files are sent, and by which names, is tested in unit/inputFiles.

const scene = useScene();

async function send(
	binary: IBinaryKeyData,
	parameters: EngineOptions['parameters'],
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const result = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'p', waitForCompletion: false, ...parameters },
		items: [{ json: {}, binary }],
		...more,
	});
	expect(result.error).toBeUndefined();
	return result;
}

function inMemory(bytes: Buffer, rest: Partial<IBinaryData> = {}): IBinaryData {
	return { data: bytes.toString('base64'), mimeType: 'image/png', ...rest };
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const received = () => scene.emulator.submits.flatMap(({ files }) => files);
const names = () => received().map(({ fileName }) => fileName);

async function threeFiles(): Promise<IBinaryKeyData> {
	return {
		zebra: await storeBinary(PNG, 'zebra.png', 'image/png'),
		apple: await storeBinary(GIF, 'apple.gif', 'image/gif'),
		moose: inMemory(LARGE_PNG, { fileName: 'moose.png' }),
	};
}

describe('reference images', () => {
	it('are not sent unless asked for', async () => {
		await send(await threeFiles(), {});
		await send(await threeFiles(), { referenceImages: 'none' });
		expect(received()).toEqual([]);
	});

	it('are all sent in the order of the field names', async () => {
		await send(await threeFiles(), { referenceImages: 'all' });
		expect(names()).toEqual(['apple.gif', 'moose.png', 'zebra.png']);
	});

	it.each<[string, string, string[]]>([
		['the one of the default field', 'data', ['data.png']],
		['those of a list, in its order', 'zebra,apple', ['zebra.png', 'apple.gif']],
		['those of an expression’s list', '={{ "apple," + "moose" }}', ['apple.gif', 'moose.png']],
		['those of an array', '={{ ["zebra", " apple "] }}', ['zebra.png', 'apple.gif']],
	])('are sent as they are selected: %s', async (_, binaryPropertyName, expected) => {
		await send(
			{ ...(await threeFiles()), data: inMemory(PNG, { fileName: 'data.png' }) },
			{ referenceImages: 'selected', binaryPropertyName },
		);
		expect(names()).toEqual(expected);
	});

	it('are those of their own item', async () => {
		await send(
			{},
			{ prompt: '={{ $json.n }}', referenceImages: 'all' },
			{
				items: [0, 1, 2].map((n) => ({
					json: { n },
					binary: { data: inMemory(PNG, { fileName: `${n}.png` }) },
				})),
			},
		);
		for (const { fields, files } of scene.emulator.submits) {
			expect(files.map(({ fileName }) => fileName)).toEqual([`${String(fields.prompt)}.png`]);
		}
		expect(scene.emulator.submits).toHaveLength(3);
	});

	it.each(['all', 'selected'])(
		'are found in the JSON where a workflow keeps its files there, %s',
		async (referenceImages) => {
			const files = await threeFiles();
			await send(
				{},
				{ referenceImages, binaryPropertyName: 'apple, moose, zebra' },
				{
					items: [{ json: { _files: { ...files } } }],
					workflowSettings: { binaryMode: 'combined' },
				},
			);
			expect(names()).toEqual(['apple.gif', 'moose.png', 'zebra.png']);
			expect(received().map((file) => file.sha256)).toEqual([GIF, LARGE_PNG, PNG].map(sha256));
		},
	);
});

describe('what is sent of a file', () => {
	it.each([
		['stored by n8n', async () => await storeBinary(LARGE_PNG, 'a.png', 'image/png')],
		['in memory', () => Promise.resolve(inMemory(LARGE_PNG, { fileName: 'a.png' }))],
	])('is every byte, with a length that is known beforehand: %s', async (_, make) => {
		await send({ data: await make() }, { referenceImages: 'all' });
		expect(received()).toMatchObject([
			{
				field: 'ref_images',
				fileName: 'a.png',
				mimeType: 'image/png',
				bytes: LARGE_PNG.length,
				sha256: sha256(LARGE_PNG),
			},
		]);
		const [submit] = scene.emulator.requests;
		expect(Number(submit?.headers['content-length'])).toBeGreaterThan(LARGE_PNG.length);
		expect(submit?.headers['transfer-encoding']).toBeUndefined();
	});

	it('is every byte also when it has to be sent again', async () => {
		for (const kind of ['uploading', 'received'] as const) {
			scene.emulator.faults.add({
				at: 'submit',
				kind: 'respond',
				status: 429,
				when: kind,
				match: () => kind === 'received' || scene.emulator.requests.length === 1,
			});
		}
		await send(await threeFiles(), { referenceImages: 'all' });
		expect(scene.emulator.requests).toHaveLength(3);
		expect(received().map((file) => file.sha256)).toEqual([GIF, LARGE_PNG, PNG].map(sha256));
	});

	it.each<[string, Buffer, string, string, string, string]>([
		['a type that lies', GIF, 'image/png', 'a.png', 'image/gif', 'a.png'],
		['no type', PNG, '', 'a', 'image/png', 'a'],
		['a type that is none', PNG, 'application/octet-stream', 'a.bin', 'image/png', 'a.bin'],
		['a type with a break', PNG, 'image/png\r\nX-Evil: 1', 'a.png', 'image/png', 'a.png'],
	])('is the type that its bytes show: %s', async (_, bytes, claimed, name, mimeType, sentName) => {
		await send(
			{ data: inMemory(bytes, { mimeType: claimed, fileName: name }) },
			{ referenceImages: 'all' },
		);
		expect(received()).toMatchObject([{ mimeType, fileName: sentName }]);
	});

	it.each<[string, string | undefined, string]>([
		['a usual name', 'photo 1.png', 'photo 1.png'],
		['no name', undefined, 'my field.gif'],
		['breaks', 'a\r\nContent-Type: text/html\r\n\r\nb.png', 'html\u0000b.png'.replace('\0', '')],
		['control characters', 'a\u0000\u0007\u0085b.png', 'ab.png'],
		['other scripts and signs', 'Möwe 海鷗 🦤.png', 'Möwe 海鷗 🦤.png'],
		['half a sign', 'a\ud83db.png', 'ab.png'],
		['quotes', 'a"b\'c.png', "a%22b'c.png"],
		['what looks like another field', 'a"; name="ai_model', 'a%22; name=%22ai_model'],
		['a name without end', `${'x'.repeat(300)}.png`, 'x'.repeat(200)],
	])('is a name that does no harm: %s', async (_, fileName, sent) => {
		const file = inMemory(GIF, fileName === undefined ? {} : { fileName });
		await send({ 'my field': file }, { referenceImages: 'all' });
		expect(names()).toEqual([sent]);
		expect(received()).toMatchObject([{ field: 'ref_images', sha256: sha256(GIF) }]);
		expect(scene.emulator.submits[0]?.fields).toEqual({ prompt: 'p', ai_model: 'GPT Image 1.5' });
	});

	it('is a length that agrees with the bytes for names of many bytes', async () => {
		const fileName = '海鷗🦤'.repeat(20);
		await send({ data: inMemory(LARGE_PNG, { fileName }) }, { referenceImages: 'all' });
		expect(received()).toMatchObject([{ fileName, sha256: sha256(LARGE_PNG) }]);
	});
});
