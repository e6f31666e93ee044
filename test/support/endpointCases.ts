import type { INodeParameters } from 'n8n-workflow';
import type { ImageFormat } from '../emulator/jobs';

// What docs/api.md says of each paid endpoint, a row each, written by hand and without a look at what the
// nodes declare. The emulator serves these, and the tests of what all endpoints have in common walk them.

/** A field of a form, in the words of nodes/shared/endpoint.ts, by what the API takes in it. */
export type FieldCase = {
	/** The API's name. */
	name: string;
	isOptional?: boolean;
} & (
	| { kind: 'text'; example: string }
	| { kind: 'boolean'; example: 'true' | 'false' }
	/** A whole number. */
	| { kind: 'number'; allowed: readonly number[] }
	/** One of a list of values. */
	| { kind: 'choice'; allowed: readonly string[] }
	/** The rows of a sprite sheet, as JSON. */
	| { kind: 'table' }
	/** Files: where there may be several, the field is repeated; else the API takes the last. */
	| { kind: 'files'; most: number; mostByModel?: Readonly<Record<string, number>> }
);

/** A paid endpoint. All of them are POSTs of a form that answer `{"job_id"}`. */
export interface EndpointCase {
	path: string;
	/** The name of the node that has it. */
	node: 'imageGenerate' | 'imageTune' | 'effectGenerate' | 'sprite';
	/** What selects it and what it cannot do without; no `apiVersion` is the node's default. */
	parameters: INodeParameters;
	/** The text fields that these parameters send, the node's defaults among them, as they arrive. */
	sends: Readonly<Record<string, string>>;
	/** In the order of the API's documentation, which is that of the complaints in a 422. */
	fields: readonly FieldCase[];
	results: readonly ImageFormat[];
	/** What people search for in n8n's nodes panel: it finds this node, and those of other rows with the word. */
	searchedBy: readonly string[];
}

const SIZES = ['1K', '2K', '4K'];
const image: FieldCase = { kind: 'files', name: 'image', most: 1 };
const optionalImage: FieldCase = { ...image, isOptional: true };
const resolution: FieldCase = { kind: 'choice', name: 'resolution', allowed: SIZES };
const quality: FieldCase = { kind: 'choice', name: 'quality', allowed: ['standard', 'pro'] };
const style: FieldCase = {
	kind: 'choice',
	name: 'style',
	allowed: ['pixel', 'cartoon', 'sd', 'quater_view'],
	isOptional: true,
};
const effect: FieldCase = { kind: 'text', name: 'description', example: 'A fire burst' };
const motion: FieldCase = { kind: 'text', name: 'text', example: 'walking animation' };
const isPixel: FieldCase = { kind: 'boolean', name: 'is_pixel', example: 'false' };
const clothes: FieldCase = { kind: 'text', name: 'description', example: 'In winter clothes' };
const overlay: readonly FieldCase[] = [
	{ kind: 'files', name: 'sprite_sheet', most: 1 },
	{ kind: 'files', name: 'character_images', most: 4 },
	{ kind: 'table', name: 'rows' },
];
const ONE_ROW = '[{"row":1,"title":"Idle","description":"Standing still"}]';
const overlayParameters: INodeParameters = {
	operation: 'characterOverlay',
	characterImagesFields: 'data',
	rows: { row: [{ title: 'Idle', description: 'Standing still' }] },
};

export const ENDPOINT_CASES: readonly EndpointCase[] = [
	{
		path: '/public/v1/generate/image',
		node: 'imageGenerate',
		parameters: { prompt: 'A lighthouse' },
		sends: { prompt: 'A lighthouse', ai_model: 'GPT Image 1.5' },
		fields: [
			{ kind: 'text', name: 'prompt', example: 'A lighthouse' },
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
			{
				kind: 'files',
				name: 'ref_images',
				most: 10,
				mostByModel: { 'Grok Imagine': 5, 'Grok Imagine Pro': 1 },
				isOptional: true,
			},
		],
		results: ['png'],
		searchedBy: [
			...['game art', 'character', 'concept art', 'texture', 'tileset', 'icon'],
			...['portrait', 'midjourney'],
		],
	},
	{
		path: '/public/v1/generate/effect/v1',
		node: 'effectGenerate',
		parameters: { apiVersion: 'v1', description: 'Sparks' },
		sends: { description: 'Sparks', resolution: '1K' },
		fields: [effect, resolution, optionalImage],
		results: ['png'],
		searchedBy: ['effect', 'game art'],
	},
	{
		path: '/public/v1/generate/effect/v2',
		node: 'effectGenerate',
		parameters: { description: 'Sparks' },
		sends: { description: 'Sparks', quality: 'standard', frame: '16' },
		fields: [
			effect,
			quality,
			{ kind: 'choice', name: 'frame', allowed: ['4', '9', '16'] },
			optionalImage,
		],
		results: ['png'],
		searchedBy: ['effect'],
	},
	{
		path: '/public/v1/image-tune/upscale',
		node: 'imageTune',
		parameters: { operation: 'upscale' },
		sends: { scale: '2K' },
		fields: [image, { kind: 'choice', name: 'scale', allowed: SIZES }],
		results: ['png'],
		searchedBy: ['upscale', 'enlarge', 'game art'],
	},
	{
		path: '/public/v1/image-tune/inpaint/v2',
		node: 'imageTune',
		parameters: { operation: 'inpaint', prompt: 'Remove the hat' },
		sends: { prompt: 'Remove the hat', quality: 'standard' },
		fields: [image, { kind: 'text', name: 'prompt', example: 'Add a balloon' }, quality],
		results: ['png'],
		searchedBy: ['inpaint', 'remove object'],
	},
	{
		path: '/public/v1/image-tune/split-layer',
		node: 'imageTune',
		parameters: { operation: 'splitLayers', keyword: 'arm' },
		sends: { keyword: 'arm' },
		// The documented keywords are examples: a public client sends any word.
		fields: [image, { kind: 'text', name: 'keyword', example: 'arm' }],
		results: ['png', 'png', 'png', 'png'],
		searchedBy: ['layers'],
	},
	{
		path: '/public/v1/sprite/make-sprite/v1',
		node: 'sprite',
		parameters: { operation: 'make', text: 'Walking' },
		sends: { text: 'Walking', frame: '25', is_pixel: 'false' },
		fields: [
			image,
			motion,
			{ kind: 'number', name: 'frame', allowed: [25, 36, 49, 64, 81, 100, 121, 144, 169] },
			isPixel,
		],
		results: ['png', 'gif'],
		searchedBy: ['sprite', 'sprite sheet', 'animation', 'game art', 'character'],
	},
	{
		path: '/public/v1/sprite/make-sprite/v2',
		node: 'sprite',
		parameters: { operation: 'make', apiVersion: 'v2', text: 'Walking' },
		sends: { text: 'Walking', frame: '49', is_pixel: 'false' },
		fields: [
			{ kind: 'files', name: 'start_frame_image', most: 1 },
			{ kind: 'files', name: 'end_frame_image', most: 1, isOptional: true },
			motion,
			{ kind: 'number', name: 'frame', allowed: [49, 81, 121] },
			isPixel,
		],
		results: ['png', 'gif'],
		searchedBy: ['sprite'],
	},
	{
		path: '/public/v1/sprite/reskin/v1',
		node: 'sprite',
		parameters: { operation: 'reskin', description: 'Golden armor' },
		sends: { description: 'Golden armor', resolution: '2K' },
		fields: [image, clothes, resolution, style],
		results: ['png'],
		searchedBy: ['reskin'],
	},
	{
		path: '/public/v1/sprite/reskin/v2',
		node: 'sprite',
		parameters: { operation: 'reskin', apiVersion: 'v2', description: 'Golden armor' },
		sends: { description: 'Golden armor', quality: 'standard' },
		fields: [image, clothes, quality, style],
		results: ['png'],
		searchedBy: ['reskin'],
	},
	{
		path: '/public/v1/sprite/character-overlay/v1',
		node: 'sprite',
		parameters: overlayParameters,
		sends: { rows: ONE_ROW, resolution: '2K' },
		fields: [...overlay, resolution, style],
		results: ['png'],
		searchedBy: ['character'],
	},
	{
		path: '/public/v1/sprite/character-overlay/v2',
		node: 'sprite',
		parameters: { ...overlayParameters, apiVersion: 'v2' },
		sends: { rows: ONE_ROW, quality: 'standard' },
		fields: [...overlay, quality, style],
		results: ['png'],
		searchedBy: ['character'],
	},
];
