import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeProperties,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { propertiesOf, type Endpoint, type FilesField } from '../../nodes/shared/endpoint';
import { runJobs } from '../../nodes/shared/engine/runJobs';
import { jobProperties } from '../../nodes/shared/properties';

// A node of the test's own: an endpoint is one declaration, of which the engine knows nothing else.

function choice(displayName: string, name: string, values: (string | number)[]): INodeProperties {
	return {
		displayName,
		name,
		type: 'options',
		options: values.map((value) => ({ name: String(value), value })),
		default: values[0],
	};
}

function text(displayName: string, name: string, more: Partial<INodeProperties> = {}) {
	return { displayName, name, type: 'string', default: '', ...more } satisfies INodeProperties;
}

/** The three parameters of files, by how their names begin. */
function files(
	displayName: string,
	name: string,
	{ isOptional = false, isSeveral = false } = {},
): Pick<FilesField, 'source' | 'names' | 'urls'> {
	const source = `${name}Source`;
	const end = isSeveral ? 's' : '';
	const shownFor = (value: string) => ({ displayOptions: { show: { [source]: [value] } } });
	return {
		source: choice(`${displayName} Source`, source, [
			...(isOptional ? ['none'] : []),
			'binary',
			'url',
		]),
		names: text(`${displayName} Field${end}`, `${name}Field${end}`, {
			default: isSeveral || isOptional ? '' : 'data',
			...shownFor('binary'),
		}),
		urls: text(`${displayName} URL${end}`, `${name}Url${end}`, shownFor('url')),
	};
}

export const characterImages: FilesField = {
	kind: 'files',
	apiName: 'character_images',
	noun: { one: 'character image', many: 'character images' },
	...files('Character Image', 'characterImages', { isSeveral: true }),
	limit: { min: 1, max: 4 },
};

/** Everything that makes an endpoint hard: two file fields, rows, and a choice that may be left out. */
export const characterOverlay: Endpoint = {
	path: '/public/v1/sprite/character-overlay/v2',
	name: 'Character Overlay V2',
	when: { operation: 'characterOverlay', apiVersion: 'v2' },
	adviceIfFailed: 'Try another sprite sheet.',
	fields: [
		{
			kind: 'files',
			apiName: 'sprite_sheet',
			noun: { one: 'sprite sheet', many: 'sprite sheets' },
			...files('Sprite Sheet', 'spriteSheet'),
			limit: { min: 1, max: 1 },
		},
		characterImages,
		{
			kind: 'table',
			apiName: 'rows',
			source: choice('Rows Input', 'rowsInput', ['fields', 'json']),
			list: {
				displayName: 'Rows',
				name: 'rows',
				type: 'fixedCollection',
				typeOptions: { multipleValues: true },
				default: {},
				displayOptions: { show: { rowsInput: ['fields'] } },
				options: [
					{
						displayName: 'Row',
						name: 'row',
						values: [text('Title', 'title'), text('Description', 'description')],
					},
				],
			},
			json: text('Rows (JSON)', 'rowsJson', { displayOptions: { show: { rowsInput: ['json'] } } }),
			columns: [
				{ name: 'row', kind: 'wholeNumber', isPosition: true },
				{ name: 'title', kind: 'text' },
				{ name: 'description', kind: 'text' },
			],
		},
		{
			kind: 'choice',
			apiName: 'quality',
			property: choice('Quality', 'quality', ['standard', 'pro']),
		},
		{
			kind: 'choice',
			apiName: 'style',
			property: choice('Style', 'style', ['none', 'pixel', 'quater_view']),
			none: 'none',
		},
	],
};

export const makeSprite: Endpoint = {
	path: '/public/v1/sprite/make-sprite/v1',
	name: 'Make Sprite V1',
	when: { operation: 'make', apiVersion: 'v1' },
	adviceIfFailed: 'Try another image.',
	fields: [
		{
			kind: 'files',
			apiName: 'image',
			noun: { one: 'image', many: 'images' },
			...files('Image', 'image'),
			limit: { min: 1, max: 1 },
		},
		{
			kind: 'files',
			apiName: 'end_frame_image',
			noun: { one: 'end frame image', many: 'end frame images' },
			...files('End Frame Image', 'endFrameImage', { isOptional: true }),
			limit: { min: 0, max: 1 },
		},
		{ kind: 'text', apiName: 'text', property: text('Motion', 'text') },
		{ kind: 'choice', apiName: 'frame', property: choice('Frames', 'frame', [25, 36, 49]) },
		{
			kind: 'boolean',
			apiName: 'is_pixel',
			property: { displayName: 'Pixel Art', name: 'isPixel', type: 'boolean', default: false },
		},
	],
};

/** All that a node with several endpoints takes. */
export function spriteNode(endpoints: readonly Endpoint[]): INodeType {
	const description: INodeTypeDescription = {
		displayName: 'Sprite',
		name: 'sprite',
		group: ['transform'],
		version: 1,
		description: 'Makes sprites',
		defaults: { name: 'Sprite' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'aetherForgeApi', required: true }],
		properties: [
			choice('Operation', 'operation', ['make', 'characterOverlay']),
			choice('API Version', 'apiVersion', ['v1', 'v2']),
			...endpoints.flatMap(propertiesOf),
			...jobProperties,
		],
	};
	return {
		description,
		async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
			return await runJobs(this, endpoints);
		},
	};
}
