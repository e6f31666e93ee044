import type { INodeParameters, INodeProperties } from 'n8n-workflow';

import type { Values } from '../../nodes/shared/api/request';
import type { Endpoint } from '../../nodes/shared/endpoint';
import {
	asBoolean,
	asChoice,
	asNumber,
	ParameterReader,
} from '../../nodes/shared/engine/check/parameters';
import { readValues } from '../../nodes/shared/engine/check/request';
import type { AdditionalFields } from '../../nodes/shared/engine/check/settings';
import { fakeContext } from './fakeContext';

function property(name: string, ...choices: (string | number)[]): INodeProperties {
	const options = choices.map((value) => ({ name: String(value), value }));
	return { displayName: name, name, type: 'options', default: '', options };
}

/** An endpoint with every kind of value field; its labels are its parameters' names. */
const ENDPOINT: Endpoint = {
	path: '/public/v1/test',
	name: 'Test',
	adviceIfFailed: 'Try again.',
	fields: [
		{ kind: 'text', apiName: 'text', property: property('Text') },
		{ kind: 'choice', apiName: 'frame', property: property('Frame', 4, 9, 16) },
		{ kind: 'choice', apiName: 'model', property: property('Model', 'A'), isOpen: true },
		{
			kind: 'choice',
			apiName: 'style',
			property: property('Style', 'none', 'pixel'),
			none: 'none',
		},
		{ kind: 'boolean', apiName: 'is_pixel', property: property('Pixel') },
		{
			kind: 'table',
			apiName: 'rows',
			source: property('RowsInput', 'fields', 'json'),
			list: property('Rows'),
			json: property('RowsJson'),
			columns: [
				{ name: 'row', kind: 'wholeNumber', isPosition: true },
				{ name: 'title', kind: 'text' },
			],
		},
	],
};

const GIVEN = {
	Text: 'walk',
	Frame: 9,
	Model: 'A',
	Style: 'none',
	Pixel: false,
	RowsInput: 'json',
	RowsJson: '[{"title":"Idle","row":3}]',
};
const READ = {
	text: 'walk',
	frame: 9,
	model: 'A',
	is_pixel: false,
	rows: [{ row: 3, title: 'Idle' }],
};

type Parameters = Record<string, unknown>;

function valuesOf(changes: Parameters, additional: AdditionalFields = {}): Values {
	const parameters: Parameters = { ...GIVEN, ...changes };
	const context = fakeContext({}, { getNodeParameter: (name: string) => parameters[name] });
	return readValues(new ParameterReader(context), ENDPOINT, 0, additional);
}

const asList = (...rows: object[]): Parameters => ({ RowsInput: 'fields', Rows: { row: rows } });
const WHOLE = 'must be a whole number from 1';
const asRows = (...rows: unknown[]): Parameters => ({ RowsJson: rows });

describe('the values of a request', () => {
	it('have the API’s names and order, and leave out what is not chosen', () => {
		expect(JSON.stringify(valuesOf({}))).toBe(JSON.stringify(READ));
	});

	it.each<[Parameters, Values]>([
		[{ Text: '  a\n' }, { text: '  a\n' }],
		[{ Text: 7 }, { text: '7' }],
		[{ Text: false }, { text: 'false' }],
		[{ Text: 2 ** 53 - 1 }, { text: '9007199254740991' }],
		[{ Text: 'null lighthouse' }, { text: 'null lighthouse' }],
		[{ Frame: ' 16 ' }, { frame: 16 }],
		[{ Model: 'a model of tomorrow' }, { model: 'a model of tomorrow' }],
		[{ Style: 'pixel' }, { style: 'pixel' }],
		[{ Pixel: true }, { is_pixel: true }],
		[{ Pixel: ' TRUE\n' }, { is_pixel: true }],
		[{ Pixel: 'False' }, { is_pixel: false }],
		[asRows({ row: 1, title: 'a' }), { rows: [{ row: 1, title: 'a' }] }],
		[{ RowsJson: '[{"row":" 2 ","title":"a"}]' }, { rows: [{ row: 2, title: 'a' }] }],
		[
			asList({ title: 'Idle' }, { title: 'Walk', row: 9 }),
			{
				rows: [
					{ row: 1, title: 'Idle' },
					{ row: 2, title: 'Walk' },
				],
			},
		],
	])('of %j are read as %j', (changes, values) => {
		expect(valuesOf(changes)).toMatchObject(values);
	});

	it.each<[Parameters, string]>([
		...['', ' \n\t ', undefined, null].map((blank): [Parameters, string] => [
			{ Text: blank },
			'The "Text" parameter is empty',
		]),
		...['undefined', ' null\n', 'NaN', '[object Object]'].map((left): [Parameters, string] => [
			{ Text: left },
			`"Text" is only the text "${left.trim()}"`,
		]),
		[
			{ Text: Number.NaN },
			'The "Text" parameter must be text, but is not a number (NaN or Infinity)',
		],
		[{ Text: ['arm'] }, 'The "Text" parameter must be text, but is a list'],
		[{ Text: { a: 1 } }, 'The "Text" parameter must be text, but is an object'],
		[{ Text: 2 ** 53 }, '"Text" is a number with too many digits'],
		[{ Frame: 5 }, '"Frame" must be 4, 9, or 16'],
		[{ Frame: undefined }, '"Frame" must be 4, 9, or 16'],
		[{ Model: '' }, 'The "Model" parameter is empty'],
		[{ Model: { name: 'A' } }, 'The "Model" parameter must be text'],
		[{ Style: 'Pixel' }, '"Style" must be "none" or "pixel"'],
		[{ Style: '' }, '"Style" must be "none" or "pixel"'],
		[{ Pixel: 1 }, '"Pixel" must be true or false'],
		[{ RowsInput: 'csv' }, '"RowsInput" must be "fields" or "json"'],
		[asList(), 'The "Rows" parameter has no rows'],
		[{ RowsInput: 'fields', Rows: '' }, 'The "Rows" parameter has no rows'],
		[asRows(), 'The "RowsJson" parameter has no rows'],
		[{ RowsJson: '[{' }, 'The "RowsJson" parameter is not valid JSON'],
		[{ RowsJson: '{"row":1}' }, 'The "RowsJson" parameter must be a list'],
		[asRows('Idle'), 'Row 1 of "RowsJson" must be an object'],
		[asRows({ row: 1, title: 'a' }, { title: 'b' }), `"row" in row 2 of "RowsJson" ${WHOLE}`],
		[asRows({ row: 0, title: 'a' }), `"row" in row 1 of "RowsJson" ${WHOLE}`],
		[asRows({ row: '1.5', title: 'a' }), `"row" in row 1 of "RowsJson" ${WHOLE}`],
		[
			asRows({ row: 2 ** 53, title: 'a' }),
			'"row" in row 1 of "RowsJson" must be a smaller whole number',
		],
		[asRows({ row: 1, ' Title': 'a' }), 'The row has " Title"; the field must be "title"'],
		[asList({ title: ' undefined' }), '"title" in row 1 of "Rows" is only the text "undefined"'],
		[asList({ title: ' ' }), '"title" in row 1 of "Rows" must be text'],
	])('of %j are refused: %s', (changes, message) => {
		expect(() => valuesOf(changes)).toThrow(message);
	});

	it('are followed by additional form fields, which cannot take the place of declared ones', () => {
		const additional = { seed: 42, is_fast: false, '0': 'zero' };
		expect(valuesOf({}, additional)).toEqual({ ...READ, ...additional });
		for (const name of ['text', 'style', 'rows']) {
			const refused = `"${name}" cannot be sent as an extra field`;
			expect(() => valuesOf({}, { seed: 1, [name]: 'x' })).toThrow(refused);
		}
	});
});

/** Those of the values that are read although they should be refused in these words. */
function taken(values: unknown[], read: (value: unknown) => unknown, words: string): unknown[] {
	return values.filter((value) => {
		try {
			read(value);
		} catch (error) {
			return !(error as Error).message.startsWith(words);
		}
		return true;
	});
}

it('a switch is never guessed at: what is no boolean and none of the two words is refused', () => {
	const values = [1, 0, '1', '', 'yes', 'truefalse', Number.NaN, [true], {}, null, undefined];
	const read = (value: unknown) => asBoolean(value, 'Dry Run');
	expect(taken(values, read, '"Dry Run" must be true or false')).toEqual([]);
});

it('a choice is one of those that are there, as it is written', () => {
	const values = ['', '5', '9.0', '0x9', true, ['9'], null];
	const read = (value: unknown) => asChoice(value, 'L', [4, 9, 16]);
	expect(taken(values, read, '"L" must be 4, 9, or 16')).toEqual([]);
	expect(() => asChoice(9, 'L', ['4', '9'])).toThrow('"L" must be "4" or "9"');
});

describe('a number', () => {
	it.each<[unknown, number]>([
		[2.5, 2.5],
		[0, 0],
		[' 5 ', 5],
		['2.5', 2.5],
		['+3', 3],
		['007', 7],
	])('given as %j is %d', (value, read) => {
		expect(asNumber(value, 'N', {})).toBe(read);
	});

	it('is nothing else, within its limits, small enough to be exact, and whole where it counts', () => {
		const circular: { self?: unknown } = {};
		circular.self = circular;
		const values = [undefined, null, [], [5], {}, circular, true, 5n, Number.NaN, Infinity, -1];
		const texts = ['-1', '', ' ', '0x10', '1e3', '1,5', '1 000', '5s', '.', 'NaN'];
		const read = (value: unknown) => asNumber(value, 'N', {});
		expect(taken([...values, ...texts], read, '"N" must be a number of at least 0')).toEqual([]);
		const large = [2 ** 53, '9007199254740993'];
		expect(taken(large, read, '"N" must be a number from 0 to 9007199254740991')).toEqual([]);
		const limited = (value: unknown) => asNumber(value, 'N', { min: 1, max: 20, isWhole: true });
		expect([1, '1', 20, '20'].map(limited)).toEqual([1, 1, 20, 20]);
		const outside = [0, '0', 21, '21', 2.5, '2.5'];
		expect(taken(outside, limited, '"N" must be a whole number from 1 to 20')).toEqual([]);
	});
});

describe('reading parameters', () => {
	/** Reads each parameter for three items; expressions give their item's number. */
	function readAll(parameters: INodeParameters) {
		const reads: [name: string, itemIndex: number][] = [];
		const context = fakeContext(parameters, {
			getNodeParameter: (name: string, itemIndex: number) => {
				reads.push([name, itemIndex]);
				const written = parameters[name];
				return typeof written === 'string' && written.startsWith('=') ? itemIndex : written;
			},
		});
		const reader = new ParameterReader(context);
		const names = Object.keys(parameters);
		const values = [0, 1, 2].map((item) => names.map((name) => reader.read(name, item)));
		// Asked again for the last item, it knows.
		for (const name of names) reader.read(name, 2);
		return { reads, values };
	}

	it('asks n8n once per run for what holds no expression', () => {
		const written = { prompt: 'a = {{ b }}', frame: 4, isPixel: false, options: { timeout: 5 } };
		const { reads, values } = readAll(written);
		expect(values).toEqual([0, 1, 2].map(() => Object.values(written)));
		expect(reads).toEqual(Object.keys(written).map((name) => [name, 0]));
	});

	it('asks n8n once per item for an expression, however deep it lies', () => {
		const options = { nested: { list: [{ timeout: '={{ 5 }}' }] } };
		const { reads, values } = readAll({ prompt: '={{ $json.row }}', options });
		expect(values).toEqual([0, 1, 2].map((item) => [item, options]));
		expect(reads).toEqual(
			[0, 1, 2].flatMap((item) => [
				['prompt', item],
				['options', item],
			]),
		);
	});
});
