import type { IDataObject } from 'n8n-workflow';

import {
	choicesOf,
	type Column,
	type Endpoint,
	type TableField,
	type ValueField,
} from '../../endpoint';
import { maxFiles, readInputFiles, type InputFileReader } from './inputFiles';
import type { JobDraft, Row, Value, Values } from '../../api/request';
import { inputFailures } from '../../messages';
import {
	asBoolean,
	asChoice,
	asJson,
	asText,
	isInexact,
	isLeftover,
	numeric,
	type ParameterReader,
} from './parameters';
import type { AdditionalFields } from './settings';

/**
 * An item's parameters as a request whose every part has been checked.
 *
 * @throws Failure saying what is wrong with this item
 */
export async function readRequest(
	input: InputFileReader,
	endpoint: Endpoint,
	itemIndex: number,
	additionalFields: AdditionalFields,
): Promise<JobDraft> {
	const values = readValues(input.reader, endpoint, itemIndex, additionalFields);
	const files: JobDraft['files'][number][] = [];
	for (const field of endpoint.fields) {
		if (field.kind !== 'files') continue;
		const max = maxFiles(field, values);
		const subject =
			field.limit.by && max < field.limit.max ? values[field.limit.by.apiName] : undefined;
		files.push(
			...(await readInputFiles(input, field, itemIndex, {
				max,
				subject: typeof subject === 'string' ? subject : 'AetherForge',
			})),
		);
	}
	if (input.reader.isUnevaluated('fileName')) throw inputFailures.notAnExpression('File Name');
	return { path: endpoint.path, values, files };
}

/**
 * The value fields of a request, which output items repeat next to their job.
 *
 * @throws Failure naming the parameter with a value it cannot have
 */
export function readValues(
	reader: ParameterReader,
	{ fields }: Endpoint,
	itemIndex: number,
	additionalFields: AdditionalFields,
): Values {
	const declared = fields.find(({ apiName }) => Object.hasOwn(additionalFields, apiName));
	if (declared) throw inputFailures.declaredFormField(declared.apiName);
	const values: Record<string, Value> = {};
	for (const field of fields) {
		if (field.kind === 'files') continue;
		const value = readValue(reader, field, itemIndex);
		if (value !== undefined) values[field.apiName] = value;
	}
	return { ...values, ...additionalFields };
}

/** @returns undefined for a choice that stands for leaving the value out */
function readValue(
	reader: ParameterReader,
	field: ValueField,
	itemIndex: number,
): Value | undefined {
	if (field.kind === 'table') return readTable(reader, field, itemIndex);
	const { name, displayName: label, default: usual } = field.property;
	const given = reader.read(name, itemIndex, usual);
	switch (field.kind) {
		case 'text':
			if (reader.isUnevaluated(name)) throw inputFailures.notAnExpression(label);
			return asText(given, label);
		case 'choice': {
			if (given === field.none && field.none !== undefined) return undefined;
			const choices = choicesOf(field.property);
			const isListed = choices.includes(given as string);
			return field.isOpen && !isListed ? asText(given, label) : asChoice(given, label, choices);
		}
		case 'boolean':
			return asBoolean(given, label);
	}
}

function readTable(reader: ParameterReader, field: TableField, itemIndex: number): Row[] {
	const source = asChoice(
		reader.read(field.source.name, itemIndex, field.source.default),
		field.source.displayName,
		choicesOf(field.source),
	);
	const isList = source === 'fields';
	const property = isList ? field.list : field.json;
	const given = reader.read(property.name, itemIndex, property.default);
	const rows = isList ? listOf(given) : parseRows(given, property.displayName);
	if (rows.length === 0) throw inputFailures.noRows(property.displayName);
	return rows.map((row, index) =>
		readRow(
			isList ? numbered(row, index, field.columns) : row,
			field.columns,
			index + 1,
			property.displayName,
		),
	);
}

/** A fixedCollection's rows are behind its group's name, and missing while there are none. */
function listOf(collection: unknown): unknown[] {
	const [rows] = Object.values((collection ?? {}) as IDataObject);
	return Array.isArray(rows) ? (rows as unknown[]) : [];
}

/** JSON as text, or the list itself from an expression. */
function parseRows(given: unknown, label: string): unknown[] {
	const rows = asJson(given, label);
	if (Array.isArray(rows)) return rows as unknown[];
	throw inputFailures.noList(label);
}

function numbered(row: unknown, index: number, columns: readonly Column[]): unknown {
	const position = columns.find(({ isPosition }) => isPosition);
	return position ? { ...(row as object), [position.name]: index + 1 } : row;
}

function readRow(row: unknown, columns: readonly Column[], position: number, label: string): Row {
	if (typeof row !== 'object' || row === null || Array.isArray(row)) {
		throw inputFailures.noRowObject(
			label,
			position,
			columns.map(({ name }) => name),
		);
	}
	const place = `row ${position} of "${label}"`;
	return Object.fromEntries(
		columns.map((column): [string, string | number] => {
			const { name } = column;
			if (Object.hasOwn(row, name)) return [name, readCell(Reflect.get(row, name), column, place)];
			const similar = Object.keys(row).find((key) => key.trim().toLowerCase() === name);
			if (similar !== undefined) throw inputFailures.cellKey(place, similar, name);
			return [name, readCell(undefined, column, place)];
		}),
	);
}

function readCell(cell: unknown, { name, kind }: Column, place: string): string | number {
	const subject = `"${name}" in ${place}`;
	if (kind === 'wholeNumber') {
		const number = numeric(cell);
		// Rows are counted from 1 (docs/api.md).
		if (Number.isSafeInteger(number) && number >= 1) return number;
		const expected = isInexact(number) ? 'a smaller whole number' : 'a whole number from 1';
		throw inputFailures.wrongValue(subject, expected, cell);
	}
	if (typeof cell !== 'string' || cell.trim() === '') {
		throw inputFailures.wrongValue(subject, 'text', cell);
	}
	if (isLeftover(cell)) throw inputFailures.leftover(subject, cell.trim());
	return cell;
}
