import { ENDPOINT_CASES, type EndpointCase } from '../support/endpointCases';
import { SPRITE_STYLES, type Artwork } from './artwork';
import type { ReceivedForm } from './form';
import { readBoolean, readInteger } from './formValues';
import type { ImageFormat } from './jobs';
import { readRows } from './rows';

type FormValues = ReceivedForm['fields'];

/** A paid endpoint that is served. */
export interface Endpoint extends Omit<EndpointCase, 'results'> {
	/** What else the API refuses, with the text of its 400. Asked once every file is an image. */
	refuse: (form: ReceivedForm) => string | undefined;
	/** What the form says in words: prompt tags are read from it. */
	promptOf: (fields: FormValues) => string;
	/** The results of a job; absent: as many PNGs as the emulator was told to give. */
	results: readonly ImageFormat[] | undefined;
	/** What the results show. Asked only about a form that was accepted. */
	artworkOf: (fields: FormValues) => Artwork;
}

const IMAGE_PATH = '/public/v1/generate/image';

/** The endpoints that are served, which are all that the API has. */
export const ENDPOINTS: readonly Endpoint[] = ENDPOINT_CASES.map((row) => ({
	...row,
	results: row.path === IMAGE_PATH ? undefined : row.results,
	refuse: (form) => (row.path === IMAGE_PATH ? refuseReferences(form) : refuseOther(row, form)),
	promptOf: (fields) => wordsOf(row, fields).join('\n'),
	artworkOf: (fields) => artworkOf(row.path, fields),
}));

function refuseReferences(form: ReceivedForm): string | undefined {
	const model = form.fields.ai_model ?? '';
	const limit = { 'Grok Imagine': 5, 'Grok Imagine Pro': 1 }[model];
	if (fileCount(form, 'ref_images') <= (limit ?? 10)) return undefined;
	return limit === undefined
		? 'ref_images supports up to 10 images only'
		: `The ${model} model supports up to ${limit} ref_images.`;
}

function refuseOther({ fields }: EndpointCase, form: ReceivedForm): string | undefined {
	for (const field of fields) {
		const value = form.fields[field.name] ?? '';
		if (field.kind === 'files' && field.most > 1 && fileCount(form, field.name) > field.most) {
			return `${field.name} must contain between 1 and ${field.most} files`;
		}
		if (field.kind === 'table') {
			const { refusal } = readRows(value);
			if (refusal !== undefined) return refusal;
		}
		if (field.kind === 'number' && !field.allowed.includes(readInteger(value) ?? Number.NaN)) {
			return `${field.name} should be one of ${field.allowed.join(', ')}`;
		}
	}
	return undefined;
}

function wordsOf({ fields }: EndpointCase, values: FormValues): string[] {
	return fields.flatMap(({ kind, name }) => {
		const value = values[name] ?? '';
		if (kind === 'text') return [value];
		if (kind !== 'table') return [];
		return readRows(value).rows.map(({ title, description }) => `${title} ${description}`);
	});
}

/** What an endpoint draws, by its path; one that is not known here shows its prompt. */
function artworkOf(path: string, fields: FormValues): Artwork {
	const { frame, scale, is_pixel: isPixel = '', rows = '' } = fields;
	const pixels = pixelsOf(scale ?? fields.resolution);
	const style = SPRITE_STYLES.find((known) => known === fields.style);
	if (path.includes('/effect/v1')) return { kind: 'effect', pixels };
	if (path.includes('/effect/v2')) return { kind: 'effectSheet', frames: Number(frame) };
	if (path.includes('/upscale')) return { kind: 'upscale', pixels };
	if (path.includes('/inpaint')) return { kind: 'inpaint' };
	if (path.includes('/split-layer')) return { kind: 'layers' };
	if (path.includes('/make-sprite')) {
		return { kind: 'animation', frames: Number(frame), isPixel: readBoolean(isPixel) ?? false };
	}
	if (path.includes('/reskin')) return { kind: 'reskin', pixels, style };
	if (path.includes('/character-overlay')) {
		const titles = readRows(rows).rows.map(({ title }) => title);
		return { kind: 'overlay', pixels, titles, style };
	}
	return { kind: 'scene' };
}

function fileCount(form: ReceivedForm, field: string): number {
	return form.files.filter((file) => file.field === field).length;
}

/** The size that a form asks for; where an endpoint has a quality in its place, the smallest. */
function pixelsOf(size: string | undefined): number {
	return { '2K': 2048, '4K': 4096 }[size ?? ''] ?? 1024;
}
