import fc from 'fast-check';
import type { IExecuteFunctions, INode, INodeParameters } from 'n8n-workflow';
import {
	asBoolean,
	asChoice,
	asNumber,
	asText,
	ParameterReader,
} from '../../nodes/shared/engine/check/parameters';
import { Failure } from '../../nodes/shared/failure';

const CIRCLE: { self?: unknown } = {};
CIRCLE.self = CIRCLE;

/** What an expression can give instead of what was meant. */
const STRANGE: [unknown][] = [[undefined], [null], [[]], [['a']], [{}], [{ a: 1 }], [CIRCLE]];

describe('a switch', () => {
	it.each<[unknown, boolean]>([
		[true, true],
		[false, false],
		['true', true],
		['false', false],
		['TRUE', true],
		['False', false],
		[' true\n', true],
	])('that is %j counts as %s', (value, read) => {
		expect(asBoolean(value, 'Dry Run')).toBe(read);
	});

	it.each<[unknown]>([
		...STRANGE,
		[1],
		[0],
		['1'],
		['0'],
		[''],
		[' '],
		['yes'],
		['no'],
		['on'],
		['truefalse'],
		[Number.NaN],
		[10n],
		[[true]],
	])('that is %p is refused', (value) => {
		expect(() => asBoolean(value, 'Dry Run')).toThrow('"Dry Run" must be true or false');
	});

	it('is never guessed at: whatever is no boolean and none of the two words is refused', () => {
		fc.assert(
			fc.property(fc.anything(), (value) => {
				fc.pre(typeof value !== 'boolean');
				fc.pre(typeof value !== 'string' || !/^\s*(true|false)\s*$/i.test(value));
				expect(() => asBoolean(value, 'Dry Run')).toThrow(Failure);
			}),
		);
	});
});

describe('a number', () => {
	it.each<[unknown, number]>([
		[5, 5],
		[2.5, 2.5],
		[0, 0],
		['5', 5],
		[' 5 ', 5],
		['2.5', 2.5],
		['+3', 3],
		['007', 7],
	])('given as %j is %d', (value, read) => {
		expect(asNumber(value, 'Timeout (Seconds)', {})).toBe(read);
	});

	it.each<[unknown]>([
		...STRANGE,
		[Number.NaN],
		[Infinity],
		[-Infinity],
		[true],
		[false],
		[''],
		[' '],
		[' 0x10 '],
		['1e3'],
		['0b1'],
		['1,5'],
		['1 000'],
		['5s'],
		['.'],
		['Infinity'],
		['NaN'],
		[[5]],
		[5n],
	])('is not what is given as %p', (value) => {
		expect(() => asNumber(value, 'Timeout (Seconds)', {})).toThrow(
			'"Timeout (Seconds)" must be a number of at least 0',
		);
	});

	it('has to be within its limits, whether it is given as a number or as text', () => {
		fc.assert(
			fc.property(
				fc.integer({ min: -50, max: 50 }),
				fc.integer({ min: -50, max: 50 }),
				fc.nat({ max: 50 }),
				(value, min, span) => {
					const limits = { min, max: min + span };
					for (const given of [value, String(value)]) {
						const read = () => asNumber(given, 'N', limits);
						if (value >= limits.min && value <= limits.max) expect(read()).toBe(value);
						else expect(read).toThrow(`"N" must be a number from ${min} to ${min + span}`);
					}
				},
			),
		);
	});

	it('has to be small enough to be exact', () => {
		for (const value of [2 ** 53, '9007199254740993']) {
			expect(() => asNumber(value, 'N', {})).toThrow('from 0 to 9007199254740991');
		}
	});

	it('has to be whole where it counts something', () => {
		expect(asNumber('3', 'N', { isWhole: true })).toBe(3);
		expect(asNumber(3.0, 'N', { isWhole: true })).toBe(3);
		for (const value of [2.5, '2.5']) {
			expect(() => asNumber(value, 'N', { isWhole: true })).toThrow(
				'"N" must be a whole number of at least 0',
			);
		}
	});
});

describe('a choice', () => {
	it('is one of those that are there, as it is written', () => {
		expect(asChoice('perJob', 'L', ['perImage', 'perJob'])).toBe('perJob');
		expect(asChoice(9, 'L', [4, 9, 16])).toBe(9);
	});

	it('can be a numeric text where the choices are numbers, and only there', () => {
		expect(asChoice(' 9 ', 'L', [4, 9, 16])).toBe(9);
		expect(() => asChoice(9, 'L', ['4', '9'])).toThrow('"L" must be "4" or "9"');
	});

	it.each<[unknown]>([
		...STRANGE,
		[''],
		['5'],
		['9.0'],
		['0x9'],
		[5],
		[Number.NaN],
		[true],
		[['9']],
	])('is not %p', (value) => {
		expect(() => asChoice(value, 'L', [4, 9, 16])).toThrow('"L" must be 4, 9, or 16');
	});
});

describe('a text', () => {
	it.each<[unknown, string]>([
		['a lighthouse', 'a lighthouse'],
		['  a\n', '  a\n'],
		[7, '7'],
		[0, '0'],
		[false, 'false'],
	])('given as %j is %j', (value, read) => {
		expect(asText(value, 'Prompt')).toBe(read);
	});

	it.each<[unknown]>([[''], [' \n\t'], [undefined], [null]])(
		'is empty when it is given as %j',
		(value) => {
			expect(() => asText(value, 'Prompt')).toThrow('The "Prompt" parameter is empty');
		},
	);

	it.each(['undefined', ' null\n', 'NaN', '[object Object]'])(
		'is not what an expression leaves of nothing or of an object: %j',
		(value) => {
			expect(() => asText(value, 'Prompt')).toThrow(`"Prompt" is only the text "${value.trim()}"`);
			expect(asText(`${value} lighthouse`, 'Prompt')).toBe(`${value} lighthouse`);
		},
	);

	it('is no number whose last digits are lost', () => {
		expect(() => asText(2 ** 53, 'Prompt')).toThrow('"Prompt" is a number with too many digits');
		expect(asText(2 ** 53 - 1, 'Prompt')).toBe('9007199254740991');
	});

	it.each<[unknown, string]>([
		[Number.NaN, 'not a number (NaN or Infinity)'],
		[Infinity, 'not a number (NaN or Infinity)'],
		[['a'], 'a list'],
		[{ a: 1 }, 'an object'],
	])('is not what is given as %p', (value, type) => {
		expect(() => asText(value, 'Prompt')).toThrow(
			`The "Prompt" parameter must be text, but is ${type}`,
		);
	});
});

describe('reading parameters', () => {
	/** A node of which n8n counts the reads; expressions give their item's number. */
	function readerOf(parameters: INodeParameters): {
		reader: ParameterReader;
		reads: (readonly [string, number])[];
	} {
		const reads: (readonly [string, number])[] = [];
		const node: INode = {
			id: 'node',
			name: 'Node',
			type: 'n8n-nodes-aetherforge.imageGenerate',
			typeVersion: 1,
			position: [0, 0],
			parameters,
		};
		const context: Pick<IExecuteFunctions, 'getNode' | 'getNodeParameter'> = {
			getNode: () => node,
			getNodeParameter: (name: string, itemIndex: number, fallback?: unknown) => {
				reads.push([name, itemIndex]);
				const written = parameters[name];
				const isExpression = typeof written === 'string' && written.startsWith('=');
				return (isExpression ? itemIndex : (written ?? fallback)) as never;
			},
		};
		return { reader: new ParameterReader(context as IExecuteFunctions), reads };
	}

	it('asks n8n once per run for what holds no expression', () => {
		const written = { prompt: 'p', frame: 4, isPixel: false, options: { timeout: 5 }, list: ['a'] };
		const { reader, reads } = readerOf(written);
		for (let item = 0; item < 3; item++) {
			for (const [name, value] of Object.entries(written)) {
				expect(reader.read(name, item)).toBe(value);
			}
		}
		expect(reads).toEqual(Object.keys(written).map((name) => [name, 0]));
	});

	it('asks n8n once per item for an expression, however deep it lies', () => {
		const { reader, reads } = readerOf({
			prompt: '={{ $json.row }}',
			options: { nested: { list: [{ timeout: '={{ 5 }}' }] } },
		});
		for (let item = 0; item < 3; item++) {
			expect(reader.read('prompt', item)).toBe(item);
			reader.read('options', item);
		}
		const prompts = reads.filter(([name]) => name === 'prompt');
		const options = reads.filter(([name]) => name === 'options');
		expect(prompts.map(([, item]) => item)).toEqual([0, 1, 2]);
		expect(options.map(([, item]) => item)).toEqual([0, 1, 2]);
	});

	it('does not take a text for an expression because of what stands inside it', () => {
		const { reader, reads } = readerOf({ prompt: 'a = {{ b }}' });
		for (const item of [0, 1]) reader.read('prompt', item);
		expect(reads).toHaveLength(1);
	});

	it('gives the value of its choice where n8n shows no parameter', () => {
		const { reader } = readerOf({});
		expect(reader.read('downloadImages', 0, false)).toBe(false);
		expect(reader.read('downloadImages', 1, false)).toBe(false);
	});
});
