import { SPRITE_STYLES, type Artwork, type SpriteStyle } from './artwork';
import type { ReceivedForm } from './form';
import { readBoolean, readInteger } from './formValues';
import type { ImageFormat } from './jobs';
import { readRows } from './rows';

/** A field of a paid endpoint, by what the API takes in it. */
export type Field =
	| { kind: 'text' | 'integer' | 'boolean'; name: string }
	/** One of a list of values. */
	| { kind: 'choice'; name: string; allowed: readonly string[]; isOptional?: boolean }
	/** One file; of several, the API takes the last. */
	| { kind: 'file'; name: string; isOptional?: boolean }
	/** Any number of files: the field is repeated once per file. */
	| { kind: 'files'; name: string; isOptional?: boolean };

/** A paid endpoint. All of them are POSTs of a form that answer `{"job_id"}`. */
export interface Endpoint {
	path: string;
	/** In the order of the API's documentation, which is that of the complaints in a 422. */
	fields: readonly Field[];
	/** What else the API refuses, with the text of its 400. Asked once every file is an image. */
	refuse?: (form: ReceivedForm) => string | undefined;
	/** What the form says in words: prompt tags are read from it. Absent: the endpoint takes no words. */
	promptOf?: (fields: FormValues) => string;
	/** The results of a job; absent: as many PNGs as the emulator was told to give. */
	results?: readonly ImageFormat[];
	/** What the results show. Asked only about a form that was accepted. */
	artworkOf: (fields: FormValues) => Artwork;
}

type FormValues = ReceivedForm['fields'];

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

const MAX_CHARACTER_IMAGES = 4;

const PIXELS = { '1K': 1024, '2K': 2048, '4K': 4096 } as const;

const resolution = { kind: 'choice', name: 'resolution', allowed: Object.keys(PIXELS) } as const;
const quality = { kind: 'choice', name: 'quality', allowed: ['standard', 'pro'] } as const;
const style = { kind: 'choice', name: 'style', allowed: SPRITE_STYLES, isOptional: true } as const;

const ONE_PICTURE = ['png'] as const;

/** The endpoints that are served, which are all that the API has. */
export const ENDPOINTS: readonly Endpoint[] = [
	{
		path: '/public/v1/generate/image',
		fields: [
			{ kind: 'text', name: 'prompt' },
			{
				kind: 'choice',
				name: 'ai_model',
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
			{ kind: 'files', name: 'ref_images', isOptional: true },
		],
		refuse: (form) => {
			const { limit, detail } = REFERENCE_LIMITS[form.fields.ai_model ?? ''] ?? {
				limit: 10,
				detail: 'ref_images supports up to 10 images only',
			};
			return fileCount(form, 'ref_images') > limit ? detail : undefined;
		},
		promptOf: ({ prompt = '' }) => prompt,
		artworkOf: () => ({ kind: 'scene' }),
	},
	{
		path: '/public/v1/generate/effect/v1',
		fields: [
			{ kind: 'text', name: 'description' },
			resolution,
			{ kind: 'file', name: 'image', isOptional: true },
		],
		promptOf: ({ description = '' }) => description,
		results: ONE_PICTURE,
		artworkOf: (fields) => ({ kind: 'effect', pixels: pixelsOf(fields.resolution) }),
	},
	{
		path: '/public/v1/generate/effect/v2',
		fields: [
			{ kind: 'text', name: 'description' },
			quality,
			{ kind: 'choice', name: 'frame', allowed: ['4', '9', '16'] },
			{ kind: 'file', name: 'image', isOptional: true },
		],
		promptOf: ({ description = '' }) => description,
		results: ONE_PICTURE,
		artworkOf: ({ frame }) => ({ kind: 'effectSheet', frames: Number(frame) }),
	},
	{
		path: '/public/v1/image-tune/upscale',
		fields: [
			{ kind: 'file', name: 'image' },
			{ kind: 'choice', name: 'scale', allowed: Object.keys(PIXELS) },
		],
		results: ONE_PICTURE,
		artworkOf: ({ scale }) => ({ kind: 'upscale', pixels: pixelsOf(scale) }),
	},
	{
		path: '/public/v1/image-tune/inpaint/v2',
		fields: [{ kind: 'file', name: 'image' }, { kind: 'text', name: 'prompt' }, quality],
		promptOf: ({ prompt = '' }) => prompt,
		results: ONE_PICTURE,
		artworkOf: () => ({ kind: 'inpaint' }),
	},
	{
		path: '/public/v1/image-tune/split-layer',
		// The documented keywords are examples: a public client sends any word.
		fields: [
			{ kind: 'file', name: 'image' },
			{ kind: 'text', name: 'keyword' },
		],
		promptOf: ({ keyword = '' }) => keyword,
		results: ['png', 'png', 'png', 'png'],
		artworkOf: () => ({ kind: 'layers' }),
	},
	makeSprite('v1', {
		images: [{ kind: 'file', name: 'image' }],
		frames: [25, 36, 49, 64, 81, 100, 121, 144, 169],
	}),
	makeSprite('v2', {
		images: [
			{ kind: 'file', name: 'start_frame_image' },
			{ kind: 'file', name: 'end_frame_image', isOptional: true },
		],
		frames: [49, 81, 121],
	}),
	reskin('v1', resolution),
	reskin('v2', quality),
	characterOverlay('v1', resolution),
	characterOverlay('v2', quality),
];

function makeSprite(
	version: string,
	{ images, frames }: { images: readonly Field[]; frames: readonly number[] },
): Endpoint {
	return {
		path: `/public/v1/sprite/make-sprite/${version}`,
		fields: [
			...images,
			{ kind: 'text', name: 'text' },
			{ kind: 'integer', name: 'frame' },
			{ kind: 'boolean', name: 'is_pixel' },
		],
		refuse: ({ fields }) =>
			frames.includes(readInteger(fields.frame ?? '') ?? 0)
				? undefined
				: `frame should be one of ${frames.join(', ')}`,
		promptOf: ({ text = '' }) => text,
		results: ['png', 'gif'],
		artworkOf: ({ frame, is_pixel: isPixel = '' }) => ({
			kind: 'animation',
			frames: Number(frame),
			isPixel: readBoolean(isPixel) ?? false,
		}),
	};
}

function reskin(version: string, size: Field): Endpoint {
	return {
		path: `/public/v1/sprite/reskin/${version}`,
		fields: [{ kind: 'file', name: 'image' }, { kind: 'text', name: 'description' }, size, style],
		promptOf: ({ description = '' }) => description,
		results: ONE_PICTURE,
		artworkOf: (fields) => ({
			kind: 'reskin',
			pixels: pixelsOf(fields.resolution),
			style: styleOf(fields),
		}),
	};
}

function characterOverlay(version: string, size: Field): Endpoint {
	return {
		path: `/public/v1/sprite/character-overlay/${version}`,
		fields: [
			{ kind: 'file', name: 'sprite_sheet' },
			{ kind: 'files', name: 'character_images' },
			{ kind: 'text', name: 'rows' },
			size,
			style,
		],
		refuse: (form) =>
			fileCount(form, 'character_images') > MAX_CHARACTER_IMAGES
				? `character_images must contain between 1 and ${MAX_CHARACTER_IMAGES} files`
				: readRows(form.fields.rows ?? '').refusal,
		promptOf: (fields) =>
			readRows(fields.rows ?? '')
				.rows.map(({ title, description }) => `${title} ${description}`)
				.join('\n'),
		results: ONE_PICTURE,
		artworkOf: (fields) => ({
			kind: 'overlay',
			pixels: pixelsOf(fields.resolution),
			titles: readRows(fields.rows ?? '').rows.map(({ title }) => title),
			style: styleOf(fields),
		}),
	};
}

function fileCount(form: ReceivedForm, field: string): number {
	return form.files.filter((file) => file.field === field).length;
}

/** The size that a form asks for; where an endpoint has a quality in its place, the smallest. */
function pixelsOf(size: string | undefined): number {
	return size === '4K' || size === '2K' ? PIXELS[size] : PIXELS['1K'];
}

function styleOf(fields: FormValues): SpriteStyle | undefined {
	return SPRITE_STYLES.find((known) => known === fields.style);
}
