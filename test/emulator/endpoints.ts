import type { EndpointCase, FieldCase } from '../support/endpointCases';
import type { ReceivedFile, ReceivedForm } from './form';

// What the API refuses, and in which words. What it takes stands in test/support/endpointCases.ts.

/** An answer that is not 200, with FastAPI's `detail`: the API's own words, or a 422's list of issues. */
export interface Refusal {
	status: number;
	detail: string | object[];
}

/** What the API finds wrong with a form; `undefined` when it would make a job of it. */
export function refusalOf({ fields }: EndpointCase, form: ReceivedForm): Refusal | undefined {
	const issues = fields.flatMap((field) => issueOf(field, form) ?? []);
	if (issues.length > 0) return { status: 422, detail: issues };
	const files = fields.flatMap((field) => filesIn(field, form));
	const problems = fields.flatMap((field) => problemOf(field, form) ?? []);
	const [detail] = files.every(looksLikeImage) ? problems : ['Invalid image file'];
	return detail === undefined ? undefined : { status: 400, detail };
}

/** What a form says in words: prompt tags are read from it. */
export function wordsIn({ fields }: EndpointCase, values: ReceivedForm['fields']): string {
	const words = fields.flatMap(({ kind, name }) => {
		const value = values[name] ?? '';
		if (kind === 'table') return readRows(value).map((row) => `${row.title} ${row.description}`);
		return kind === 'text' ? value : [];
	});
	return words.join('\n');
}

/** What FastAPI's 422 says about a field. */
function issueOf(field: FieldCase, form: ReceivedForm): object | undefined {
	const { kind, name, isOptional } = field;
	const input = form.fields[name];
	const issue = (type: string, msg: string) => ({ type, loc: ['body', name], msg, input });
	const missing = { ...issue('missing', 'Field required'), input: null };
	if (kind === 'files') {
		if (input) return issue('value_error', "Expected UploadFile, received: <class 'str'>");
		return isOptional || filesIn(field, form).length > 0 ? undefined : missing;
	}
	// FastAPI takes an empty value for a missing one, unless the field is optional and has a list of values.
	if (input === undefined || (input === '' && !(kind === 'choice' && isOptional))) {
		return isOptional ? undefined : missing;
	}
	if (kind === 'choice' && !field.allowed.includes(input)) {
		return issue('literal_error', `Input should be one of ${field.allowed.join(', ')}`);
	}
	if (kind === 'number' && !/^\s*[+-]?\d+(\.0+)?\s*$/.test(input)) {
		return issue('int_parsing', 'Input should be a valid integer');
	}
	if (kind === 'boolean' && !/^(true|t|1|yes|y|on|false|f|0|no|n|off)$/i.test(input)) {
		return issue('bool_parsing', 'Input should be a valid boolean');
	}
	return undefined;
}

/** What the API's own 400 says about a field. */
function problemOf(field: FieldCase, form: ReceivedForm): string | undefined {
	const { kind, name } = field;
	const value = form.fields[name] ?? '';
	if (kind === 'table') return rowsProblem(value);
	if (kind === 'number' && !field.allowed.includes(Number(value))) {
		return `${name} should be one of ${field.allowed.join(', ')}`;
	}
	if (kind !== 'files') return undefined;
	const count = filesIn(field, form).length;
	const model = form.fields.ai_model ?? '';
	const mostOfModel = field.mostByModel?.[model];
	if (count <= (mostOfModel ?? field.most)) return undefined;
	if (mostOfModel) return `The ${model} model supports up to ${mostOfModel} ref_images.`;
	return name === 'ref_images'
		? `ref_images supports up to ${field.most} images only`
		: `${name} must contain between 1 and ${field.most} files`;
}

/** The files that count: of several for one, the last, as in FastAPI. */
function filesIn(field: FieldCase, form: ReceivedForm): ReceivedFile[] {
	const files = form.files.filter((file) => file.field === field.name);
	return field.kind === 'files' && field.most > 1 ? files : files.slice(-1);
}

/** A row of a sprite sheet; any integer is taken for its number. */
interface SheetRow {
	row: number;
	title: string;
	description: string;
}

/** The rows of a form that was accepted, in their order on the sheet. */
export function readRows(json: string): SheetRow[] {
	return (JSON.parse(json) as SheetRow[]).sort((one, other) => one.row - other.row);
}

function rowsProblem(json: string): string | undefined {
	let rows: unknown;
	try {
		rows = JSON.parse(json);
	} catch {
		return 'rows must be a valid JSON list';
	}
	if (!Array.isArray(rows)) return 'rows must be a JSON list';
	for (const item of rows as unknown[]) {
		const { row, title, description } = (item ?? {}) as Partial<SheetRow>;
		if ([row, title, description].includes(undefined)) {
			return 'each row must be an object with row, title, description';
		}
		if (!Number.isInteger(row)) return 'row must be an integer';
		if (typeof title !== 'string' || typeof description !== 'string') {
			return 'title and description must be strings';
		}
	}
	return undefined;
}

/** How files of PNG, JPEG, GIF, BMP, TIFF, WebP, and AVIF or HEIC begin. */
const IMAGE =
	/^(\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|BM|II\*\0|MM\0\*|.{8}WEBP|.{4}ftyp(avi[fs]|hei[cx]|hevc|hevx|mif1|msf1))/s;

function looksLikeImage({ head }: ReceivedFile): boolean {
	return IMAGE.test(head.toString('latin1'));
}
