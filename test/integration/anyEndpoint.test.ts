import { createHash } from 'node:crypto';
import type { IBinaryData, IBinaryKeyData, INodeParameters } from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import { startBinaryStorage, type EngineOptions, type EngineResult } from '../support/engine';
import { openScene, type Scene } from '../support/scene';
import { characterOverlay, makeSprite, spriteNode } from '../support/sprite';

const SPRITE = spriteNode([makeSprite, characterOverlay]);

const pictures = {
	sheet: tinyPicture('sheet', 'png'),
	first: tinyPicture('first', 'gif'),
	second: tinyPicture('second', 'png'),
};

function file(bytes: Buffer, fileName: string): IBinaryData {
	return { data: bytes.toString('base64'), mimeType: 'image/png', fileName };
}

const BINARY: IBinaryKeyData = {
	first: file(pictures.first, 'first.gif'),
	second: file(pictures.second, 'second.png'),
	data: file(pictures.sheet, 'sheet.png'),
};

const OVERLAY: INodeParameters = {
	operation: 'characterOverlay',
	apiVersion: 'v2',
	characterImagesFields: 'second, first',
	rows: { row: [{ title: 'Idle', description: '={{ $json.idle }}' }] },
};

const MAKE: INodeParameters = { operation: 'make', apiVersion: 'v1', text: 'walking' };

beforeAll(startBinaryStorage);

let scene: Scene;

beforeEach(async () => {
	scene = await openScene();
});

afterEach(async () => {
	await scene.close();
});

async function run(
	parameters: INodeParameters,
	options: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: SPRITE,
		parameters,
		items: [{ json: { idle: 'stands still' }, binary: BINARY }],
		...options,
	});
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function sentFiles(): [field: string, fileName: string, sha256: string][] {
	return scene.emulator.submits.flatMap(({ files }) =>
		files.map((each): [string, string, string] => [each.field, each.fileName, each.sha256]),
	);
}

describe('an endpoint that the engine has never seen', () => {
	it('receives its values and files as they are declared, and its items repeat the values', async () => {
		const { items, error } = await run(OVERLAY);
		expect(error).toBeUndefined();
		const rows = [{ row: 1, title: 'Idle', description: 'stands still' }];
		expect(scene.emulator.submits).toMatchObject([{ endpoint: characterOverlay.path }]);
		// An empty style would be outside the API's list.
		expect(scene.emulator.submits[0]?.fields).toEqual({
			rows: '[{"row":1,"title":"Idle","description":"stands still"}]',
			quality: 'standard',
		});
		expect(sentFiles()).toEqual([
			['sprite_sheet', 'sheet.png', sha256(pictures.sheet)],
			['character_images', 'second.png', sha256(pictures.second)],
			['character_images', 'first.gif', sha256(pictures.first)],
		]);
		expect(items.map(({ json }) => json)).toEqual([
			{
				job_id: scene.jobIdOf(0),
				status: 'Succeed',
				image_url: scene.resultUrl(scene.jobIdOf(0), 1),
				image_number: 1,
				image_count: 1,
				rows,
				quality: 'standard',
				width: 1,
				height: 1,
				mime_type: 'image/png',
			},
		]);
		expect(items[0]?.binary?.data?.mimeType).toBe('image/png');
	});

	it("is the one that the node's own parameters select", async () => {
		const { items } = await run({
			...MAKE,
			frame: '={{ "36" }}',
			isPixel: '={{ "TRUE" }}',
			endFrameImageSource: 'binary',
			endFrameImageField: 'first',
			waitForCompletion: false,
		});
		expect(scene.emulator.submits).toMatchObject([
			{
				endpoint: makeSprite.path,
				fields: { text: 'walking', frame: '36', is_pixel: 'true' },
			},
		]);
		expect(sentFiles().map(([field, name]) => [field, name])).toEqual([
			['image', 'sheet.png'],
			['end_frame_image', 'first.gif'],
		]);
		expect(items.map(({ json }) => json)).toEqual([
			{
				job_id: scene.jobIdOf(0),
				status: 'Pending',
				text: 'walking',
				frame: 36,
				is_pixel: true,
			},
		]);
	});

	it('goes without its optional file and values, and sends false as a word', async () => {
		const { items } = await run({ ...MAKE, waitForCompletion: false });
		expect(scene.emulator.submits[0]?.fields).toEqual({
			text: 'walking',
			frame: '25',
			is_pixel: 'false',
		});
		expect(sentFiles().map(([field]) => field)).toEqual(['image']);
		expect(items[0]?.json).toMatchObject({ frame: 25, is_pixel: false });
	});

	it('is refused when the selected operation has no such version', async () => {
		const { error } = await run({ ...MAKE, apiVersion: 'v2' });
		expect(error?.message).toBe('This operation does not exist');
		expect(error?.context.itemIndex).toBeUndefined();
		expect(scene.emulator.requests).toEqual([]);
	});

	it('is checked in a dry run, which lists its files by their API fields', async () => {
		const { items } = await run({ ...OVERLAY, style: 'pixel', options: { dryRun: true } });
		const described = (field: string, name: string, type: string, bytes: Buffer) => ({
			field,
			file_name: name,
			mime_type: type,
			bytes: bytes.length,
		});
		expect(items.map(({ json }) => json)).toEqual([
			{
				dry_run: true,
				rows: [{ row: 1, title: 'Idle', description: 'stands still' }],
				quality: 'standard',
				style: 'pixel',
				files: {
					sprite_sheet: [described('data', 'sheet.png', 'image/png', pictures.sheet)],
					character_images: [
						described('second', 'second.png', 'image/png', pictures.second),
						described('first', 'first.gif', 'image/gif', pictures.first),
					],
				},
			},
		]);
		expect(scene.emulator.requests).toEqual([]);
	});
});

describe('rows', () => {
	it('of the list are numbered by their position', async () => {
		await run({
			...OVERLAY,
			rows: {
				row: [
					{ title: 'Idle', description: 'stands' },
					{ title: 'Run', description: 'runs' },
				],
			},
			style: 'quater_view',
			waitForCompletion: false,
		});
		expect(scene.emulator.submits[0]?.fields).toEqual({
			rows: '[{"row":1,"title":"Idle","description":"stands"},{"row":2,"title":"Run","description":"runs"}]',
			quality: 'standard',
			style: 'quater_view',
		});
	});

	it.each([
		['text', '[{"description":"runs","title":"Run","row":5,"more":true}]'],
		[
			'a list from an expression',
			'={{ [{ description: "runs", title: "Run", row: 5, more: 1 }] }}',
		],
	])('given as JSON may be %s, and are sent with the keys in order', async (_, rowsJson) => {
		const { items } = await run({
			...OVERLAY,
			rowsInput: 'json',
			rowsJson,
			waitForCompletion: false,
		});
		expect(scene.emulator.submits[0]?.fields.rows).toBe(
			'[{"row":5,"title":"Run","description":"runs"}]',
		);
		expect(items[0]?.json.rows).toEqual([{ row: 5, title: 'Run', description: 'runs' }]);
	});
});

describe('what cannot be sent is refused with its place', () => {
	const json = (rowsJson: string): INodeParameters => ({ ...OVERLAY, rowsInput: 'json', rowsJson });
	const GOOD = '{"row":1,"title":"Idle","description":"stands"}';

	it.each<[string, INodeParameters, string, string]>([
		[
			'two sprite sheets',
			{ ...OVERLAY, spriteSheetField: '={{ ["data", "first"] }}' },
			'AetherForge takes up to 1 sprite sheet, but the item has 2',
			'Select fewer files.',
		],
		[
			'a sprite sheet field that the item lacks',
			{ ...OVERLAY, spriteSheetField: 'data, first' },
			'The item has no binary field "data, first"',
			'The item\'s binary fields are: "data", "first", "second".',
		],
		[
			'no character images',
			{ ...OVERLAY, characterImagesFields: ' ' },
			'The "Character Image Fields" parameter does not name a binary field',
			'Enter the name of the binary field',
		],
		[
			'five character images',
			{ ...OVERLAY, characterImagesFields: 'first,second,first,second,first' },
			'AetherForge takes up to 4 character images, but the item has 5',
			'Select fewer files.',
		],
		[
			'an empty list of rows',
			{ ...OVERLAY, rows: {} },
			'The "Rows" parameter has no rows',
			'Add at least one row to "Rows".',
		],
		[
			'a blank cell of the list',
			{
				...OVERLAY,
				rows: {
					row: [
						{ title: 'a', description: 'b' },
						{ title: ' ', description: 'b' },
					],
				},
			},
			'"title" in row 2 of "Rows" must be text',
			'Its value is " ".',
		],
		[
			'JSON without rows',
			json('[]'),
			'The "Rows (JSON)" parameter has no rows',
			'Add at least one row',
		],
		[
			'text that is no JSON',
			json('[{"row":1,'),
			'The "Rows (JSON)" parameter is not valid JSON',
			'JSON list of objects',
		],
		[
			'JSON that is no list',
			json(GOOD),
			'The "Rows (JSON)" parameter must be a list',
			'one for each row',
		],
		[
			'a row that is no object',
			json(`[${GOOD}, 5]`),
			'Row 2 of "Rows (JSON)" must be an object',
			'Give each row the keys "row", "title", "description".',
		],
		[
			'a row number that is no number',
			json(`[${GOOD},${GOOD},{"row":"3rd","title":"a","description":"b"}]`),
			'"row" in row 3 of "Rows (JSON)" must be a whole number from 1',
			'Its value is "3rd".',
		],
		[
			'a row without a description',
			json(`[${GOOD},{"row":2,"title":"a"}]`),
			'"description" in row 2 of "Rows (JSON)" must be text',
			'Its value is undefined.',
		],
		[
			'a style outside the list',
			{ ...OVERLAY, style: '={{ "oil" }}' },
			'"Style" must be "none", "pixel" or "quater_view"',
			'Its value is "oil".',
		],
		[
			'a number of frames outside the list',
			{ ...MAKE, frame: '={{ "50" }}' },
			'"Frames" must be 25, 36 or 49',
			'Its value is "50".',
		],
		[
			'a switch that is neither true nor false',
			{ ...MAKE, isPixel: '={{ 1 }}' },
			'"Pixel Art" must be true or false',
			'Its value is 1.',
		],
		[
			'an optional file that is chosen but not named',
			{ ...MAKE, endFrameImageSource: 'binary' },
			'The "End Frame Image Field" parameter does not name a binary field',
			'Enter the name of the binary field',
		],
	])('%s', async (_, parameters, message, description) => {
		const { error } = await run(parameters);
		expect(error?.message).toBe(message);
		expect(error?.description).toContain(description);
		expect(error?.description).toMatch(/ No job was started, and nothing was charged\.$/);
		expect(scene.emulator.requests).toEqual([]);
	});
});

describe('a retry', () => {
	const WAITS_SHORTLY = { ...OVERLAY, options: { timeout: 5 } };
	const items = ['stands', 'sits'].map((idle) => ({ json: { idle }, binary: BINARY }));

	it('resumes the jobs that were paid for, and their items repeat what was sent', async () => {
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 503,
			times: Infinity,
			match: ({ jobId }) => jobId === scene.emulator.submits[1]?.jobId,
		});
		const first = await run(WAITS_SHORTLY, {
			items,
			nodeSettings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 },
		});
		expect(first.error?.message).toContain('could not be read within 5 seconds');
		expect(first.calls).toBe(3);
		expect(scene.emulator.submits).toHaveLength(2);

		scene.emulator.faults.clear();
		const again = await run(WAITS_SHORTLY, { items, retryOf: first, executionId: '2' });
		expect(again.error).toBeUndefined();
		expect(scene.emulator.submits).toHaveLength(2);
		expect(again.items.map(({ json }) => [json.job_id, json.rows])).toEqual(
			['stands', 'sits'].map((description, index) => [
				scene.jobIdOf(index),
				[{ row: 1, title: 'Idle', description }],
			]),
		);
	});

	it('starts a new job when the rows were edited meanwhile', async () => {
		const first = await run({ ...OVERLAY, options: { timeout: 1 } });
		expect(first.error).toBeDefined();
		const rows = { row: [{ title: 'Run', description: 'runs' }] };
		await run({ ...OVERLAY, rows }, { retryOf: first });
		expect(scene.emulator.submits).toHaveLength(2);
	});
});
