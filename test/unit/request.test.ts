import fc from 'fast-check';
import type { IExecuteFunctions, INode, INodeProperties } from 'n8n-workflow';
import type { Endpoint } from '../../nodes/shared/endpoint';
import type { Values } from '../../nodes/shared/api/request';
import type { InputFileReader } from '../../nodes/shared/engine/check/inputFiles';
import { KnownFiles } from '../../nodes/shared/engine/files/knownFiles';
import { ParameterReader } from '../../nodes/shared/engine/check/parameters';
import { readRequest, readValues } from '../../nodes/shared/engine/check/request';
import type { AdditionalFields } from '../../nodes/shared/engine/check/settings';

function parameter(name: string, more: Partial<INodeProperties> = {}): INodeProperties {
	const displayName = name.charAt(0).toUpperCase() + name.slice(1);
	return { displayName, name, type: 'string', default: '', ...more };
}

function choices(...values: (string | number)[]): Partial<INodeProperties> {
	const options = values.map((value) => ({ name: String(value), value }));
	return { type: 'options', options };
}

/** An endpoint with every kind of value field. */
const ENDPOINT: Endpoint = {
	path: '/public/v1/test',
	name: 'Test',
	adviceIfFailed: 'Try again.',
	fields: [
		{ kind: 'text', apiName: 'text', property: parameter('text') },
		{ kind: 'choice', apiName: 'frame', property: parameter('frame', choices(4, 9, 16)) },
		{ kind: 'choice', apiName: 'model', property: parameter('model', choices('A')), isOpen: true },
		{
			kind: 'choice',
			apiName: 'style',
			property: parameter('style', choices('none', 'pixel')),
			none: 'none',
		},
		{ kind: 'boolean', apiName: 'is_pixel', property: parameter('isPixel') },
		{
			kind: 'table',
			apiName: 'rows',
			source: parameter('rowsInput', choices('fields', 'json')),
			list: parameter('rows', { displayName: 'Rows' }),
			json: parameter('rowsJson', { displayName: 'Rows (JSON)' }),
			columns: [
				{ name: 'row', kind: 'wholeNumber', isPosition: true },
				{ name: 'title', kind: 'text' },
			],
		},
	],
};

const GOOD = {
	text: 'walk',
	frame: 9,
	model: 'A',
	style: 'none',
	isPixel: false,
	rowsInput: 'json',
	rowsJson: '[{"title":"Idle","row":3}]',
};

function contextWith(parameters: Readonly<Record<string, unknown>>): IExecuteFunctions {
	const node: INode = {
		id: 'node',
		name: 'Node',
		type: 'n8n-nodes-aetherforge.test',
		typeVersion: 1,
		position: [0, 0],
		parameters: {},
	};
	const context: Pick<IExecuteFunctions, 'getNode' | 'getNodeParameter'> = {
		getNode: () => node,
		getNodeParameter: (name: string, _: number, fallback?: unknown) =>
			(Object.hasOwn(parameters, name) ? parameters[name] : fallback) as never,
	};
	return context as IExecuteFunctions;
}

function valuesOf(changes: Readonly<Record<string, unknown>>): Values {
	return readValues(new ParameterReader(contextWith({ ...GOOD, ...changes })), ENDPOINT, 0, {});
}

describe('the values of a request', () => {
	it('have the API’s names and order, and leave out what is not chosen', () => {
		const values = valuesOf({});
		expect(values).toEqual({
			text: 'walk',
			frame: 9,
			model: 'A',
			is_pixel: false,
			rows: [{ row: 3, title: 'Idle' }],
		});
		expect(Object.keys(values)).toEqual(['text', 'frame', 'model', 'is_pixel', 'rows']);
		expect(Object.keys((values.rows as object[])[0] ?? {})).toEqual(['row', 'title']);
	});

	it.each<[Record<string, unknown>, Values]>([
		[{ frame: '16' }, { frame: 16 }],
		[{ model: 'a model of tomorrow' }, { model: 'a model of tomorrow' }],
		[{ style: 'pixel' }, { style: 'pixel' }],
		[{ isPixel: 'TRUE' }, { is_pixel: true }],
		[{ rowsJson: [{ row: 1, title: 'a' }] }, { rows: [{ row: 1, title: 'a' }] }],
		[{ rowsJson: '[{"row":" 2 ","title":"a"}]' }, { rows: [{ row: 2, title: 'a' }] }],
	])('of %j are read as %j', (changes, values) => {
		expect(valuesOf(changes)).toMatchObject(values);
	});

	it.each<[Record<string, unknown>, string]>([
		[{ text: '  ' }, 'The "Text" parameter is empty'],
		[{ text: Number.NaN }, 'The "Text" parameter must be text'],
		[{ text: ['arm'] }, 'The "Text" parameter must be text'],
		[{ frame: 5 }, '"Frame" must be 4, 9, or 16'],
		[{ frame: undefined }, '"Frame" must be 4, 9, or 16'],
		[{ model: '' }, 'The "Model" parameter is empty'],
		[{ model: { name: 'A' } }, 'The "Model" parameter must be text'],
		[{ model: ' null' }, '"Model" is only the text "null"'],
		[{ text: '[object Object]' }, '"Text" is only the text "[object Object]"'],
		[{ style: 'Pixel' }, '"Style" must be "none" or "pixel"'],
		[{ style: '' }, '"Style" must be "none" or "pixel"'],
		[{ isPixel: 1 }, '"IsPixel" must be true or false'],
		[{ isPixel: '' }, '"IsPixel" must be true or false'],
		[{ rowsInput: 'csv' }, '"RowsInput" must be "fields" or "json"'],
	])('of %j are refused: %s', (changes, message) => {
		expect(() => valuesOf(changes)).toThrow(message);
	});
});

describe('the rows of a table', () => {
	const asList = (rows: unknown) => ({ rowsInput: 'fields', rows });

	it('are numbered by their position where they are filled in as a list', () => {
		const rows = [{ title: 'Idle' }, { title: 'Walk', row: 9 }];
		expect(valuesOf(asList({ row: rows })).rows).toEqual([
			{ row: 1, title: 'Idle' },
			{ row: 2, title: 'Walk' },
		]);
	});

	it('are the same as a list, as JSON text and as the list of an expression', () => {
		const row = fc.stringMatching(/^[a-z][a-z "\\]{0,20}$/).map((title) => ({ title }));
		fc.assert(
			fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), (rows) => {
				const numbered = rows.map((each, index) => ({ ...each, row: index + 1 }));
				const read = [
					asList({ row: rows }),
					{ rowsJson: JSON.stringify(numbered) },
					{ rowsJson: numbered },
				].map((changes) => JSON.stringify(valuesOf(changes).rows));
				expect(new Set(read).size).toBe(1);
			}),
		);
	});

	it.each<[string, Record<string, unknown>, string]>([
		['an empty list', asList({}), 'The "Rows" parameter has no rows'],
		['no list at all', asList(''), 'The "Rows" parameter has no rows'],
		['an empty list in JSON', { rowsJson: '[]' }, 'The "Rows (JSON)" parameter has no rows'],
		['broken JSON', { rowsJson: '[{' }, 'The "Rows (JSON)" parameter is not valid JSON'],
		['no text', { rowsJson: '' }, 'The "Rows (JSON)" parameter is not valid JSON'],
		['a single row', { rowsJson: '{"row":1}' }, 'The "Rows (JSON)" parameter must be a list'],
		['a number', { rowsJson: 7 }, 'The "Rows (JSON)" parameter must be a list'],
		['a text in the list', { rowsJson: ['Idle'] }, 'Row 1 of "Rows (JSON)" must be an object'],
		[
			'a row without its number',
			{ rowsJson: [{ row: 1, title: 'a' }, { title: 'b' }] },
			'"row" in row 2 of "Rows (JSON)" must be a whole number from 1',
		],
		[
			'a fraction as text',
			{ rowsJson: [{ row: '1.5', title: 'a' }] },
			'"row" in row 1 of "Rows (JSON)" must be a whole number from 1',
		],
		[
			'a number whose last digits are lost',
			{ rowsJson: '[{"row":9007199254740993,"title":"a"}]' },
			'"row" in row 1 of "Rows (JSON)" must be a smaller whole number',
		],
		[
			'a key in another case',
			{ rowsJson: [{ row: 1, ' Title': 'a' }] },
			'The row has " Title"; the field must be "title"',
		],
		[
			'a title that an expression left',
			asList({ row: [{ title: ' undefined' }] }),
			'"title" in row 1 of "Rows" is only the text "undefined"',
		],
		['a blank title', asList({ row: [{ title: ' ' }] }), '"title" in row 1 of "Rows" must be text'],
		[
			'a title from elsewhere',
			{ rowsJson: '[{"row":1,"__proto__":{"title":"a"}}]' },
			'"title" in row 1 of "Rows (JSON)" must be text',
		],
	])('are refused for %s', (_, changes, message) => {
		expect(() => valuesOf(changes)).toThrow(message);
	});
});

describe('additional form fields', () => {
	const read = (additional: AdditionalFields) =>
		readValues(new ParameterReader(contextWith(GOOD)), ENDPOINT, 0, additional);

	it('come after the values of the endpoint, as they are', () => {
		const values = read({ seed: 42, is_fast: false, '0': 'zero' });
		expect(values).toEqual({ ...valuesOf({}), seed: 42, is_fast: false, '0': 'zero' });
	});

	it('are refused where the endpoint declares a field of that name, one that is left out as well', () => {
		for (const name of ['text', 'style', 'rows']) {
			expect(() => read({ seed: 1, [name]: 'x' })).toThrow(
				`"${name}" cannot be sent as an extra field`,
			);
		}
	});
});

it('is sent to the endpoint’s path, without files where the endpoint takes none', async () => {
	const context = contextWith(GOOD);
	const input: InputFileReader = {
		context: Object.assign(context, { getInputData: () => [{ json: {} }] }),
		reader: new ParameterReader(context),
		knownFiles: new KnownFiles(context),
		isTool: false,
	};
	await expect(readRequest(input, ENDPOINT, 0, { seed: 1 })).resolves.toEqual({
		path: '/public/v1/test',
		values: { ...valuesOf({}), seed: 1 },
		files: [],
	});
});
