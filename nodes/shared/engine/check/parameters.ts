import type { IExecuteFunctions, INodeParameters, INodeProperties } from 'n8n-workflow';

import { inputFailures } from '../../messages';

/**
 * Reads the node's parameters, each expression once per item and everything else once per run: n8n
 * takes half a millisecond for an expression, which makes seconds of thousands of items.
 */
export class ParameterReader {
	readonly #context: IExecuteFunctions;
	/** As written. n8n copies the whole node each time it is asked for it. */
	readonly #written: INodeParameters;
	readonly #constants = new Map<string, unknown>();
	/** The expressions of the item that was asked about last. */
	#item = { index: -1, values: new Map<string, unknown>() };

	/** @param properties those that are not of an endpoint, as the node declares them */
	constructor(
		context: IExecuteFunctions,
		readonly properties: readonly INodeProperties[] = [],
	) {
		this.#context = context;
		this.#written = context.getNode().parameters;
	}

	/**
	 * A parameter's value for an item.
	 * @param usual what to give where it has no value: n8n does not show it, or the node was saved before an
	 * update of this package
	 */
	read(name: string, itemIndex: number, usual?: unknown): unknown {
		if (this.#constants.has(name)) return this.#constants.get(name);
		if (itemIndex !== this.#item.index) this.#item = { index: itemIndex, values: new Map() };
		const { values } = this.#item;
		if (values.has(name)) return values.get(name);
		const value: unknown = this.#context.getNodeParameter(name, itemIndex, usual);
		(holdsExpression(this.#written[name]) ? values : this.#constants).set(name, value);
		return value;
	}

	/** What an item makes of those expressions that give the same each time; a failing one gives nothing. */
	stableValues(names: readonly string[], itemIndex: number): unknown[] {
		return names.toSorted().flatMap((name) => {
			const written = this.#written[name];
			if (!holdsExpression(written) || CHANGING.test(JSON.stringify(written))) return [];
			try {
				return [name, this.read(name, itemIndex)];
			} catch {
				return [];
			}
		});
	}

	/** Whether a parameter has the braces of an expression, but is text, which n8n leaves as it is. */
	isUnevaluated(name: string): boolean {
		const written = this.#written[name];
		return typeof written === 'string' && !holdsExpression(written) && /\{\{[^]*\}\}/.test(written);
	}
}

/** Expressions that give something else each time, or in another attempt. */
const CHANGING = /\$now|\$today|\$execution|\$runIndex|\bDate|random|uuid/i;

function holdsExpression(written: unknown): boolean {
	if (typeof written === 'string') return written.startsWith('=');
	if (typeof written !== 'object' || written === null) return false;
	return Object.values(written).some(holdsExpression);
}

/** Whether there is nothing in a value: no text, or nothing that could be one. */
export function isBlank(value: unknown): boolean {
	return (
		value === undefined || value === null || (typeof value === 'string' && value.trim() === '')
	);
}

/**
 * A required text, as it is written.
 * @throws Failure when it is blank, not a text, or what an expression makes of nothing
 */
export function asText(value: unknown, label: string): string {
	if (value === null || value === undefined) throw inputFailures.blankValue(label);
	if (typeof value === 'boolean') return String(value);
	if (typeof value === 'number' && Number.isFinite(value)) {
		if (isInexact(value)) throw inputFailures.inexactNumber(`"${label}"`, value);
		return String(value);
	}
	if (typeof value !== 'string') throw inputFailures.valueOfWrongType(label, typeName(value));
	if (value.trim() === '') throw inputFailures.blankValue(label);
	if (isLeftover(value)) throw inputFailures.leftover(`"${label}"`, value.trim());
	return value;
}

const LEFTOVERS = new Set(['undefined', 'null', 'NaN', '[object Object]']);

/** Whether a text is what JavaScript writes for nothing, or for an object, in a text. */
export function isLeftover(text: string): boolean {
	return LEFTOVERS.has(text.trim());
}

/** Whether a whole number is too large for JavaScript to keep its last digits. */
export function isInexact(value: number): boolean {
	return Number.isInteger(value) && !Number.isSafeInteger(value);
}

/** A number, or what a text says that is one; NaN for anything else. */
export function numeric(value: unknown): number {
	if (typeof value === 'number') return value;
	const isText = typeof value === 'string' && /^\s*[+-]?\d+(\.\d*)?\s*$/.test(value);
	return isText ? Number(value) : Number.NaN;
}

/** What a value is that is not what it should be, as part of a sentence. */
export function typeName(value: unknown): string {
	if (value === null || value === undefined) return 'empty';
	if (typeof value === 'boolean') return 'true or false';
	if (Number.isFinite(value)) return 'a number';
	if (typeof value === 'number') return 'not a number (NaN or Infinity)';
	return Array.isArray(value) ? 'a list' : 'an object';
}

interface NumberLimits {
	min?: number | undefined;
	max?: number | undefined;
	isWhole?: boolean;
}

/**
 * A number, or a text that is one.
 * @throws Failure for anything else, and outside the limits
 */
export function asNumber(
	value: unknown,
	label: string,
	{ min = 0, max = Infinity, isWhole = false }: NumberLimits,
): number {
	const number = numeric(value);
	const most = isInexact(number) ? Math.min(max, Number.MAX_SAFE_INTEGER) : max;
	const isInside = Number.isFinite(number) && number >= min && number <= most;
	if (isInside && (!isWhole || Number.isInteger(number))) return number;
	const range = most === Infinity ? `of at least ${min}` : `from ${min} to ${most}`;
	throw inputFailures.wrongValue(
		`"${label}"`,
		`a ${isWhole ? 'whole ' : ''}number ${range}`,
		value,
	);
}

/**
 * True, false, or one of these words. A switch that is not understood must not count as either.
 * @throws Failure for anything else, 1 and 0 too
 */
export function asBoolean(value: unknown, label: string): boolean {
	if (typeof value === 'boolean') return value;
	const word = typeof value === 'string' ? value.trim().toLowerCase() : '';
	if (word === 'true' || word === 'false') return word === 'true';
	throw inputFailures.wrongValue(`"${label}"`, 'true or false', value);
}

/**
 * JSON as text, or what an expression gives.
 * @param shape what to name in the advice, as `a JSON object`
 * @throws Failure when the text is not JSON
 */
export function asJson(value: unknown, label: string, shape?: string): unknown {
	if (typeof value !== 'string') return value;
	try {
		return JSON.parse(value);
	} catch (error) {
		throw inputFailures.invalidJson(label, error instanceof Error ? error.message : '', shape);
	}
}

/**
 * One of the choices.
 * @throws Failure naming them
 */
export function asChoice<T extends string | number | boolean>(
	value: unknown,
	label: string,
	choices: readonly T[],
): T {
	const isNumeric = typeof value === 'string' && /^\s*\d+\s*$/.test(value);
	const choice = choices.find(
		(candidate) =>
			candidate === value ||
			(typeof candidate === 'number' && isNumeric && candidate === Number(value)),
	);
	if (choice !== undefined) return choice;
	const named = choices.map((each) => (typeof each === 'string' ? `"${each}"` : String(each)));
	const last = named.pop() ?? '';
	const or = named.length > 1 ? ', or' : ' or';
	const list = named.length === 0 ? last : `${named.join(', ')}${or} ${last}`;
	throw inputFailures.wrongValue(`"${label}"`, list, value);
}
