import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { isPixel, rows, style } from '../../nodes/Sprite/fields';
import type { Values } from '../../nodes/shared/api/request';
import type { Endpoint } from '../../nodes/shared/endpoint';
import { asNumber, ParameterReader } from '../../nodes/shared/engine/check/parameters';
import { readValues } from '../../nodes/shared/engine/check/request';
import { frames } from '../../nodes/shared/fields';
import { fakeContext } from './fakeContext';

// More API Fields: integration/itemOptions.

/** An endpoint with every kind of value field. */
const ENDPOINT: Endpoint = {
	...generateImage,
	fields: [
		...generateImage.fields,
		...[frames([4, 9, 16], 4), style, isPixel],
		{ ...rows, columns: rows.columns.slice(0, 2) },
	],
};
const GIVEN = {
	...{ prompt: 'walk', aiModel: 'Grok Imagine', frame: 9, style: 'none', isPixel: false },
	...{ rowsInput: 'json', rowsJson: '[{"title":"Idle","row":3}]' },
};
const READ = {
	...{ prompt: 'walk', ai_model: 'Grok Imagine', frame: 9, is_pixel: false },
	rows: [{ row: 3, title: 'Idle' }],
};

type Parameters = Record<string, unknown>;

function valuesOf(changes: Parameters): Values {
	const parameters: Parameters = { ...GIVEN, ...changes };
	const context = fakeContext({}, { getNodeParameter: (name: string) => parameters[name] });
	return readValues(new ParameterReader(context), ENDPOINT, 0, {});
}

it('has its default where the node was saved before an update that added it', () => {
	const getNodeParameter = (name: string, _: number, usual: unknown) =>
		name === 'prompt' ? 'walk' : usual;
	const values = readValues(
		new ParameterReader(fakeContext({}, { getNodeParameter })),
		{ ...ENDPOINT, fields: ENDPOINT.fields.filter(({ kind }) => kind !== 'table') },
		0,
		{},
	);
	expect(values).toEqual({ prompt: 'walk', ai_model: 'GPT Image 1.5', frame: 4, is_pixel: false });
});

const asList = (...list: object[]): Parameters => ({ rowsInput: 'fields', rows: { row: list } });
const asJson = (...list: unknown[]): Parameters => ({ rowsJson: list });
const given = (name: string, message: string, ...values: unknown[]): [Parameters, string][] =>
	values.map((value) => [{ [name]: value }, message]);
const A_ROW = { row: 1, title: 'a' };
const NO_TEXT = 'The "Prompt" parameter must be text, but is';
const STYLES = '"Style" must be "cartoon", "none", "pixel", "quater_view", or "sd"';
const NO_CHOICE = ['', 5, '5', '9.0', '0x9', true, ['9'], null, undefined];
const NO_SWITCH = [1, 0, '1', '', 'yes', 'truefalse', Number.NaN, [true], {}, null, undefined];
const WHOLE = 'must be a whole number from 1';
const ROW_1 = 'in row 1 of "Rows (JSON)"';

describe('the values of a request', () => {
	it('have the API’s names and order, and leave out what is not chosen', () => {
		expect(JSON.stringify(valuesOf({}))).toBe(JSON.stringify(READ));
	});

	it.each<[Parameters, Values]>([
		[{ prompt: '  a\n' }, { prompt: '  a\n' }],
		[{ prompt: 7 }, { prompt: '7' }],
		[{ prompt: false }, { prompt: 'false' }],
		[{ prompt: 2 ** 53 - 1 }, { prompt: '9007199254740991' }],
		[{ prompt: 'null lighthouse' }, { prompt: 'null lighthouse' }],
		[{ frame: ' 16 ' }, { frame: 16 }],
		[{ aiModel: 'a model of tomorrow' }, { ai_model: 'a model of tomorrow' }],
		[{ style: 'pixel' }, { style: 'pixel' }],
		[{ isPixel: true }, { is_pixel: true }],
		[{ isPixel: ' TRUE\n' }, { is_pixel: true }],
		[{ isPixel: 'False' }, { is_pixel: false }],
		[asJson(A_ROW), { rows: [A_ROW] }],
		[{ rowsJson: '[{"row":" 2 ","title":"a"}]' }, { rows: [{ row: 2, title: 'a' }] }],
		[asList({ title: 'a' }, { title: 'b', row: 9 }), { rows: [A_ROW, { row: 2, title: 'b' }] }],
	])('of %j are read as %j', (changes, values) => {
		expect(valuesOf(changes)).toMatchObject(values);
	});

	it.each<[Parameters, string]>([
		...given('prompt', 'The "Prompt" parameter is empty', '', ' \n\t ', undefined, null),
		...['undefined', ' null\n', 'NaN', '[object Object]'].flatMap((left) =>
			given('prompt', `"Prompt" is only the text "${left.trim()}"`, left),
		),
		...given('prompt', `${NO_TEXT} not a number (NaN or Infinity)`, Number.NaN),
		...given('prompt', `${NO_TEXT} a list`, ['arm']),
		...given('prompt', `${NO_TEXT} an object`, { a: 1 }),
		...given('prompt', '"Prompt" is a number with too many digits', 2 ** 53),
		...given('frame', '"Frames" must be 4, 9, or 16', ...NO_CHOICE),
		...given('aiModel', 'The "Model" parameter is empty', ''),
		...given('aiModel', 'The "Model" parameter must be text', { name: 'A' }),
		...given('style', STYLES, 'Pixel', ''),
		...given('isPixel', '"Input Is Pixel Art" must be true or false', ...NO_SWITCH),
		...given('rowsInput', '"Specify Rows" must be "fields" or "json"', 'csv'),
		[asList(), 'The "Rows" parameter has no rows'],
		[{ rowsInput: 'fields', rows: '' }, 'The "Rows" parameter has no rows'],
		...given('rowsJson', 'The "Rows (JSON)" parameter has no rows', []),
		...given('rowsJson', 'The "Rows (JSON)" parameter is not valid JSON', '[{'),
		...given('rowsJson', 'The "Rows (JSON)" parameter must be a list', '{"row":1}'),
		...given('rowsJson', 'Row 1 of "Rows (JSON)" must be an object', ['Idle']),
		[asJson(A_ROW, { title: 'b' }), `"row" in row 2 of "Rows (JSON)" ${WHOLE}`],
		[asJson({ row: 0, title: 'a' }), `"row" ${ROW_1} ${WHOLE}`],
		[asJson({ row: '1.5', title: 'a' }), `"row" ${ROW_1} ${WHOLE}`],
		[asJson({ row: 2 ** 53, title: 'a' }), `"row" ${ROW_1} must be a smaller whole number`],
		[asJson({ row: 1, ' Title': 'a' }), 'The row has " Title"; the field must be "title"'],
		[asList({ title: ' undefined' }), '"title" in row 1 of "Rows" is only the text "undefined"'],
		[asList({ title: ' ' }), '"title" in row 1 of "Rows" must be text'],
	])('of %j are refused: %s', (changes, message) => {
		expect(() => valuesOf(changes)).toThrow(message);
	});
});

it('a number may be a text that is one, and is nothing else', () => {
	const read = (value: unknown) => asNumber(value, 'N', {});
	expect([2.5, 0, ' 5 ', '2.5', '+3', '007'].map(read)).toEqual([2.5, 0, 5, 2.5, 3, 7]);
	const circular: { self?: unknown } = {};
	circular.self = circular;
	const values = [undefined, null, [], [5], circular, true, 5n, Symbol('5'), NaN, Infinity, -1];
	for (const value of [...values, '-1', '', '0x10', '1e3', '1,5', '1 000', '5s', '.', 'NaN']) {
		expect(() => read(value)).toThrow('"N" must be a number of at least 0');
	}
	for (const large of [2 ** 53, '9007199254740993']) {
		expect(() => read(large)).toThrow('"N" must be a number from 0 to 9007199254740991');
	}
	const limited = (value: unknown) => asNumber(value, 'N', { min: 1, max: 20, isWhole: true });
	expect([1, '1', 20, '20'].map(limited)).toEqual([1, 1, 20, 20]);
	for (const outside of [0, '0', 21, '21', 2.5, '2.5']) {
		expect(() => limited(outside)).toThrow('"N" must be a whole number from 1 to 20');
	}
});

it('n8n is asked once per item for an expression, however deep it lies, and once for all else', () => {
	const nested = { list: [{ timeout: '={{ 5 }}' }] };
	const written = {
		prompt: 'a = {{ b }}',
		options: { timeout: 5 },
		row: '={{ $json.row }}',
		nested,
	};
	const asked: string[] = [];
	const context = fakeContext(written, {
		getNodeParameter: (name: keyof typeof written, itemIndex: number) => {
			asked.push(`${name} ${itemIndex}`);
			return written[name];
		},
	});
	const reader = new ParameterReader(context);
	for (const itemIndex of [0, 0, 1, 1]) {
		const values = Object.keys(written).map((name) => reader.read(name, itemIndex));
		expect(values).toEqual(Object.values(written));
	}
	expect(asked).toEqual(['prompt 0', 'options 0', 'row 0', 'nested 0', 'row 1', 'nested 1']);
});
