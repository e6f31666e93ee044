import type { ReceivedFile, ReceivedForm } from './form';

/** A text field of a paid endpoint. */
export interface ValueField {
	name: string;
	required: boolean;
	/** The only values the API takes; absent: any text. */
	allowed?: readonly string[];
}

/** A file field of a paid endpoint; the field may be repeated once per file. */
export interface FileField {
	name: string;
	required: boolean;
	/** The 400 text for a number of files the API refuses. */
	refuse?: (count: number, fields: ReceivedForm['fields']) => string | undefined;
}

/** A paid endpoint. All of them are multipart POSTs that answer `{"job_id"}`. */
export interface Endpoint {
	path: string;
	values: readonly ValueField[];
	files: readonly FileField[];
	/** The value field that describes the wish; pictures show it and prompt tags are read from it. */
	promptField: string;
}

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

const REFERENCE_LIMITS: Readonly<Record<string, { limit: number; detail: string }>> = {
	'Grok Imagine': {
		limit: 5,
		detail: 'The Grok Imagine model supports up to 5 ref_images.',
	},
	'Grok Imagine Pro': {
		limit: 1,
		detail: 'The Grok Imagine Pro model supports up to 1 ref_images.',
	},
};

/** The endpoints that are served. Another endpoint of the API is another entry. */
export const ENDPOINTS: readonly Endpoint[] = [
	{
		path: '/public/v1/generate/image',
		promptField: 'prompt',
		values: [
			{ name: 'prompt', required: true },
			{
				name: 'ai_model',
				required: true,
				allowed: [
					'GPT Image 1.5',
					'GPT Image 2',
					'Grok Imagine',
					'Grok Imagine Pro',
					'Nano Banana',
					'Nano Banana 2',
					'Nano Banana Pro',
				],
			},
		],
		files: [
			{
				name: 'ref_images',
				required: false,
				refuse: (count, fields) => {
					const { limit, detail } = REFERENCE_LIMITS[fields.ai_model ?? ''] ?? {
						limit: 10,
						detail: 'ref_images supports up to 10 images only',
					};
					return count > limit ? detail : undefined;
				},
			},
		],
	},
];

/** What the API finds wrong with a form; `undefined` when it would make a job of it. */
export function refusalOf(endpoint: Endpoint, form: ReceivedForm): Refusal | undefined {
	const issues = [
		...endpoint.values.flatMap((field) => valueIssues(field, form)),
		...endpoint.files.flatMap((field) => fileIssues(field, form)),
	];
	if (issues.length > 0) return { status: 422, detail: issues };

	for (const field of endpoint.files) {
		const files = filesOf(form, field.name);
		const refused = field.refuse?.(files.length, form.fields);
		if (refused !== undefined) return { status: 400, detail: refused };
		if (!files.every(looksLikeImage)) return { status: 400, detail: 'Invalid image file' };
	}
	return undefined;
}

function filesOf(form: ReceivedForm, field: string): ReceivedFile[] {
	return form.files.filter((file) => file.field === field);
}

function valueIssues(field: ValueField, form: ReceivedForm): ValidationIssue[] {
	// FastAPI takes an empty form value for a missing one.
	const value = form.fields[field.name] ?? '';
	if (value === '') return field.required ? [missing(field.name)] : [];
	if (!field.allowed || field.allowed.includes(value)) return [];
	const expected = listed(field.allowed);
	return [
		{
			type: 'literal_error',
			loc: ['body', field.name],
			msg: `Input should be ${expected}`,
			input: value,
			ctx: { expected },
		},
	];
}

function fileIssues(field: FileField, form: ReceivedForm): ValidationIssue[] {
	if (field.name in form.fields) {
		return [
			{
				type: 'value_error',
				loc: ['body', field.name, 0],
				msg: "Value error, Expected UploadFile, received: <class 'str'>",
				input: form.fields[field.name],
				ctx: { error: {} },
			},
		];
	}
	return field.required && filesOf(form, field.name).length === 0 ? [missing(field.name)] : [];
}

function missing(field: string): ValidationIssue {
	return { type: 'missing', loc: ['body', field], msg: 'Field required', input: null };
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
