import type { FieldCase } from '../support/endpointCases';
import type { Endpoint } from './endpoints';
import type { ReceivedFile, ReceivedForm } from './form';
import { readBoolean, readInteger } from './formValues';

/** One entry of FastAPI's 422 list. */
export interface ValidationIssue {
	type: string;
	loc: (string | number)[];
	msg: string;
	input: unknown;
	ctx?: Record<string, unknown>;
}

/** An answer that is not 200, with FastAPI's `detail`. */
export interface Refusal {
	status: number;
	detail: string | ValidationIssue[];
}

/** What the API finds wrong with a form; `undefined` when it would make a job of it. */
export function refusalOf(endpoint: Endpoint, form: ReceivedForm): Refusal | undefined {
	const issues = endpoint.fields.flatMap((field) => issuesOf(field, form));
	if (issues.length > 0) return { status: 422, detail: issues };
	const areImages = endpoint.fields.every((field) => filesIn(field, form).every(looksLikeImage));
	const detail = areImages ? endpoint.refuse(form) : 'Invalid image file';
	return detail === undefined ? undefined : { status: 400, detail };
}

function issuesOf(field: FieldCase, form: ReceivedForm): ValidationIssue[] {
	const value = form.fields[field.name];
	switch (field.kind) {
		case 'files':
			return fileIssues(field, form);
		case 'choice': {
			// An empty value is outside the list where it is not needed, and missing where it is.
			const isMissing = value === undefined || (value === '' && !field.isOptional);
			if (isMissing) return field.isOptional ? [] : [missing(field.name)];
			return field.allowed.includes(value) ? [] : [notListed(field, value)];
		}
		case 'text':
		case 'table':
		case 'number':
		case 'boolean':
			// FastAPI takes an empty form value for a missing one.
			if (value === undefined || value === '') return [missing(field.name)];
			return valueIssues(field.kind, field.name, value);
	}
}

function valueIssues(
	kind: 'text' | 'table' | 'number' | 'boolean',
	name: string,
	input: string,
): ValidationIssue[] {
	const loc = ['body', name];
	if (kind === 'number' && readInteger(input) === undefined) {
		const msg = 'Input should be a valid integer, unable to parse string as an integer';
		return [{ type: 'int_parsing', loc, msg, input }];
	}
	if (kind === 'boolean' && readBoolean(input) === undefined) {
		const msg = 'Input should be a valid boolean, unable to interpret input';
		return [{ type: 'bool_parsing', loc, msg, input }];
	}
	return [];
}

function fileIssues(
	field: Extract<FieldCase, { kind: 'files' }>,
	form: ReceivedForm,
): ValidationIssue[] {
	const text = form.fields[field.name];
	const isList = field.most > 1;
	if (text !== undefined && (isList || text !== '')) {
		return [
			{
				type: 'value_error',
				loc: ['body', field.name, ...(isList ? [0] : [])],
				msg: "Value error, Expected UploadFile, received: <class 'str'>",
				input: text,
				ctx: { error: {} },
			},
		];
	}
	return field.isOptional || filesIn(field, form).length > 0 ? [] : [missing(field.name)];
}

function filesIn(field: FieldCase, form: ReceivedForm): ReceivedFile[] {
	const files = form.files.filter((file) => file.field === field.name);
	return field.kind === 'files' && field.most > 1 ? files : files.slice(-1);
}

function missing(field: string): ValidationIssue {
	return { type: 'missing', loc: ['body', field], msg: 'Field required', input: null };
}

function notListed(
	{ name, allowed }: { name: string; allowed: readonly string[] },
	input: string,
): ValidationIssue {
	const expected = listed(allowed);
	return {
		type: 'literal_error',
		loc: ['body', name],
		msg: `Input should be ${expected}`,
		input,
		ctx: { expected },
	};
}

/** `'a', 'b' or 'c'`, as Pydantic writes it. */
function listed(values: readonly string[]): string {
	const quoted = values.map((value) => `'${value}'`);
	const last = quoted.pop() ?? '';
	return quoted.length === 0 ? last : `${quoted.join(', ')} or ${last}`;
}

/** Each format by what stands at which offset of its files. */
const SIGNATURES: readonly { offset: number; bytes: RegExp }[] = [
	{ offset: 0, bytes: /^\x89PNG\r\n\x1a\n/ },
	{ offset: 0, bytes: /^\xff\xd8\xff/ },
	{ offset: 0, bytes: /^GIF8[79]a/ },
	{ offset: 0, bytes: /^BM/ },
	{ offset: 0, bytes: /^(II\*\0|MM\0\*)/ },
	{ offset: 8, bytes: /^WEBP/ },
	{ offset: 4, bytes: /^ftyp(avif|avis|heic|heix|hevc|hevx|mif1|msf1)/ },
];

function looksLikeImage(file: ReceivedFile): boolean {
	const head = file.head.toString('latin1');
	return SIGNATURES.some(({ offset, bytes }) => bytes.test(head.slice(offset)));
}
