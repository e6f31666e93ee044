import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
	NodeHelpers,
	Workflow,
	type INode,
	type INodeParameters,
	type INodeProperties,
	type INodePropertyOptions,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { EffectGenerate } from '../../nodes/EffectGenerate/EffectGenerate.node';
import { generateEffectV1 } from '../../nodes/EffectGenerate/generateEffectV1.endpoint';
import { generateEffectV2 } from '../../nodes/EffectGenerate/generateEffectV2.endpoint';
import { GetJob } from '../../nodes/GetJob/GetJob.node';
import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import { ImageTune } from '../../nodes/ImageTune/ImageTune.node';
import { inpaint } from '../../nodes/ImageTune/inpaint.endpoint';
import { splitLayers } from '../../nodes/ImageTune/splitLayers.endpoint';
import { upscale } from '../../nodes/ImageTune/upscale.endpoint';
import { choicesOf, type Endpoint } from '../../nodes/shared/endpoint';
import { imageJobProperties } from '../../nodes/shared/properties';
import { makeSpriteV1 } from '../../nodes/Sprite/makeSpriteV1.endpoint';
import { makeSpriteV2 } from '../../nodes/Sprite/makeSpriteV2.endpoint';
import { overlayV1 } from '../../nodes/Sprite/overlayV1.endpoint';
import { overlayV2 } from '../../nodes/Sprite/overlayV2.endpoint';
import { reskinV1 } from '../../nodes/Sprite/reskinV1.endpoint';
import { reskinV2 } from '../../nodes/Sprite/reskinV2.endpoint';
import { Sprite } from '../../nodes/Sprite/Sprite.node';
import { root, sourcesIn } from '../package/sources';

type Values = (string | number | boolean)[];

/** What docs/api.md says of an endpoint, and what people see of it. */
interface Facts {
	endpoint: Endpoint;
	node: INodeType;
	selectedBy: INodeParameters;
	path: string;
	fields: string[];
	/** The allowed values by API field. */
	choices: Record<string, Values>;
	/** The endpoint's parameters in the order of the panel, with their defaults. */
	shown: [name: string, byDefault: unknown][];
}

const imageGenerate = new ImageGenerate();
const imageTune = new ImageTune();
const effectGenerate = new EffectGenerate();
const sprite = new Sprite();
const nodes: INodeType[] = [effectGenerate, new GetJob(), imageGenerate, imageTune, sprite];

const SIZES = ['1K', '2K', '4K'];
const QUALITIES = ['standard', 'pro'];
const STYLES = ['cartoon', 'none', 'pixel', 'quater_view', 'sd'];

const FACTS: Facts[] = [
	{
		endpoint: generateImage,
		node: imageGenerate,
		selectedBy: {},
		path: '/public/v1/generate/image',
		fields: ['prompt', 'ai_model', 'ref_images'],
		choices: {
			ai_model: [
				'GPT Image 1.5',
				'GPT Image 2',
				'Grok Imagine',
				'Grok Imagine Pro',
				'Nano Banana',
				'Nano Banana 2',
				'Nano Banana Pro',
			],
		},
		shown: [
			['prompt', ''],
			['aiModel', 'GPT Image 1.5'],
			['referenceImages', 'none'],
		],
	},
	{
		endpoint: upscale,
		node: imageTune,
		selectedBy: {},
		path: '/public/v1/image-tune/upscale',
		fields: ['image', 'scale'],
		choices: { scale: SIZES },
		shown: [
			['imageSource', 'binary'],
			['imageField', 'data'],
			['scale', '2K'],
		],
	},
	{
		endpoint: inpaint,
		node: imageTune,
		selectedBy: { operation: 'inpaint' },
		path: '/public/v1/image-tune/inpaint/v2',
		fields: ['image', 'prompt', 'quality'],
		choices: { quality: QUALITIES },
		shown: [
			['imageSource', 'binary'],
			['imageField', 'data'],
			['prompt', ''],
			['quality', 'standard'],
		],
	},
	{
		endpoint: splitLayers,
		node: imageTune,
		selectedBy: { operation: 'splitLayers' },
		path: '/public/v1/image-tune/split-layer',
		fields: ['image', 'keyword'],
		choices: {},
		shown: [
			['imageSource', 'binary'],
			['imageField', 'data'],
			['keyword', ''],
		],
	},
	{
		endpoint: generateEffectV1,
		node: effectGenerate,
		selectedBy: { apiVersion: 'v1' },
		path: '/public/v1/generate/effect/v1',
		fields: ['description', 'resolution', 'image'],
		choices: { resolution: SIZES },
		shown: [
			['description', ''],
			['resolution', '1K'],
			['imageSource', 'none'],
		],
	},
	{
		endpoint: generateEffectV2,
		node: effectGenerate,
		selectedBy: {},
		path: '/public/v1/generate/effect/v2',
		fields: ['description', 'quality', 'frame', 'image'],
		choices: { quality: QUALITIES, frame: [4, 9, 16] },
		shown: [
			['description', ''],
			['quality', 'standard'],
			['frame', 16],
			['imageSource', 'none'],
		],
	},
	{
		endpoint: makeSpriteV1,
		node: sprite,
		selectedBy: {},
		path: '/public/v1/sprite/make-sprite/v1',
		fields: ['image', 'text', 'frame', 'is_pixel'],
		choices: { frame: [25, 36, 49, 64, 81, 100, 121, 144, 169] },
		shown: [
			['imageSource', 'binary'],
			['imageField', 'data'],
			['text', ''],
			['frame', 25],
			['isPixel', false],
		],
	},
	{
		endpoint: makeSpriteV2,
		node: sprite,
		selectedBy: { apiVersion: 'v2' },
		path: '/public/v1/sprite/make-sprite/v2',
		fields: ['start_frame_image', 'end_frame_image', 'text', 'frame', 'is_pixel'],
		choices: { frame: [49, 81, 121] },
		shown: [
			['startFrameImageSource', 'binary'],
			['startFrameImageField', 'data'],
			['endFrameImageSource', 'none'],
			['text', ''],
			['frame', 49],
			['isPixel', false],
		],
	},
	{
		endpoint: reskinV1,
		node: sprite,
		selectedBy: { operation: 'reskin' },
		path: '/public/v1/sprite/reskin/v1',
		fields: ['image', 'description', 'resolution', 'style'],
		choices: { resolution: SIZES, style: STYLES },
		shown: [
			['imageSource', 'binary'],
			['imageField', 'data'],
			['description', ''],
			['resolution', '2K'],
			['style', 'none'],
		],
	},
	{
		endpoint: reskinV2,
		node: sprite,
		selectedBy: { operation: 'reskin', apiVersion: 'v2' },
		path: '/public/v1/sprite/reskin/v2',
		fields: ['image', 'description', 'quality', 'style'],
		choices: { quality: QUALITIES, style: STYLES },
		shown: [
			['imageSource', 'binary'],
			['imageField', 'data'],
			['description', ''],
			['quality', 'standard'],
			['style', 'none'],
		],
	},
	{
		endpoint: overlayV1,
		node: sprite,
		selectedBy: { operation: 'characterOverlay' },
		path: '/public/v1/sprite/character-overlay/v1',
		fields: ['sprite_sheet', 'character_images', 'rows', 'resolution', 'style'],
		choices: { resolution: SIZES, style: STYLES },
		shown: [
			['spriteSheetSource', 'binary'],
			['spriteSheetField', 'data'],
			['characterImagesSource', 'binary'],
			['characterImagesFields', ''],
			['rowsInput', 'fields'],
			['rows', {}],
			['resolution', '2K'],
			['style', 'none'],
		],
	},
	{
		endpoint: overlayV2,
		node: sprite,
		selectedBy: { operation: 'characterOverlay', apiVersion: 'v2' },
		path: '/public/v1/sprite/character-overlay/v2',
		fields: ['sprite_sheet', 'character_images', 'rows', 'quality', 'style'],
		choices: { quality: QUALITIES, style: STYLES },
		shown: [
			['spriteSheetSource', 'binary'],
			['spriteSheetField', 'data'],
			['characterImagesSource', 'binary'],
			['characterImagesFields', ''],
			['rowsInput', 'fields'],
			['rows', {}],
			['quality', 'standard'],
			['style', 'none'],
		],
	},
];

const SHARED = new Set(imageJobProperties.map(({ name }) => name));
const SELECTORS = ['operation', 'apiVersion'];

/** The properties that n8n's panel shows while the node has these parameters, and its defaults otherwise. */
function panel({ description }: INodeType, parameters: INodeParameters): INodeProperties[] {
	const node = { typeVersion: 1 };
	const values = NodeHelpers.getNodeParameters(
		description.properties,
		parameters,
		true,
		false,
		node,
		description,
	);
	return description.properties.filter((property) =>
		NodeHelpers.displayParameter(values ?? {}, property, node, description),
	);
}

/** Those of them that belong to an endpoint. */
function endpointPanel(node: INodeType, parameters: INodeParameters): INodeProperties[] {
	return panel(node, parameters).filter(
		({ name }) => !SHARED.has(name) && !SELECTORS.includes(name),
	);
}

describe.each(FACTS)('$path', ({ endpoint, node, selectedBy, ...facts }) => {
	it('is sent to its path with the fields of the API document, in their order', () => {
		expect(endpoint.path).toBe(facts.path);
		expect(endpoint.fields.map(({ apiName }) => apiName)).toEqual(facts.fields);
	});

	it('shows its own parameters and no others, with their defaults', () => {
		const shown = endpointPanel(node, selectedBy);
		expect(shown.map(({ name, default: byDefault }) => [name, byDefault])).toEqual(facts.shown);
	});

	it('offers the allowed values of the API document', () => {
		const shown = endpointPanel(node, selectedBy);
		const offered = endpoint.fields.flatMap((field) => {
			if (field.kind !== 'choice') return [];
			const property = shown.find(({ name }) => name === field.property.name);
			const options = (property?.options ?? []) as INodePropertyOptions[];
			return [[field.apiName, options.map(({ value }) => value)]];
		});
		expect(Object.fromEntries(offered)).toEqual(facts.choices);
	});
});

it('has facts of every endpoint that is declared', () => {
	const endpoints = new Set(FACTS.map(({ endpoint }) => endpoint));
	expect(endpoints.size).toBe(sourcesIn('nodes', '.endpoint.ts').length);
});

it.each<[string, INodeType, INodeParameters, string[]]>([
	[
		'the binary fields of reference images',
		imageGenerate,
		{ referenceImages: 'selected' },
		['prompt', 'aiModel', 'referenceImages', 'binaryPropertyName'],
	],
	[
		'the URLs of reference images',
		imageGenerate,
		{ referenceImages: 'urls' },
		['prompt', 'aiModel', 'referenceImages', 'referenceImageUrls'],
	],
	['the URL of an image', imageTune, { imageSource: 'url' }, ['imageSource', 'imageUrl', 'scale']],
	[
		'the URLs of both frames of Make Sprite V2',
		sprite,
		{ apiVersion: 'v2', startFrameImageSource: 'url', endFrameImageSource: 'url' },
		[
			'startFrameImageSource',
			'startFrameImageUrl',
			'endFrameImageSource',
			'endFrameImageUrl',
			'text',
			'frame',
			'isPixel',
		],
	],
	[
		'the URLs of the files of Overlay Characters',
		sprite,
		{ operation: 'characterOverlay', spriteSheetSource: 'url', characterImagesSource: 'url' },
		[
			'spriteSheetSource',
			'spriteSheetUrl',
			'characterImagesSource',
			'characterImagesUrls',
			'rowsInput',
			'rows',
			'resolution',
			'style',
		],
	],
	[
		'the image of effect V1',
		effectGenerate,
		{ apiVersion: 'v1', imageSource: 'binary' },
		['description', 'resolution', 'imageSource', 'imageField'],
	],
	[
		'the image of effect V2',
		effectGenerate,
		{ imageSource: 'binary' },
		['description', 'quality', 'frame', 'imageSource', 'imageField'],
	],
	[
		'the end frame of Make Sprite V2',
		sprite,
		{ apiVersion: 'v2', endFrameImageSource: 'binary' },
		[
			'startFrameImageSource',
			'startFrameImageField',
			'endFrameImageSource',
			'endFrameImageField',
			'text',
			'frame',
			'isPixel',
		],
	],
	[
		'the rows of Overlay Characters as JSON',
		sprite,
		{ operation: 'characterOverlay', rowsInput: 'json' },
		[
			'spriteSheetSource',
			'spriteSheetField',
			'characterImagesSource',
			'characterImagesFields',
			'rowsInput',
			'rowsJson',
			'resolution',
			'style',
		],
	],
])('asks for %s only when they are wanted', (_, node, parameters, names) => {
	expect(endpointPanel(node, parameters).map(({ name }) => name)).toEqual(names);
});

it.each<[INodeType, INodeParameters, [name: string, byDefault: string, values: string[]][]]>([
	[imageGenerate, {}, [['referenceImages', 'urls', ['none', 'selected', 'urls']]]],
	[imageTune, {}, [['imageSource', 'url', ['binary', 'url']]]],
	[effectGenerate, {}, [['imageSource', 'url', ['none', 'binary', 'url']]]],
	[
		sprite,
		{ apiVersion: 'v2' },
		[
			['startFrameImageSource', 'url', ['binary', 'url']],
			['endFrameImageSource', 'url', ['none', 'binary', 'url']],
		],
	],
	[
		sprite,
		{ operation: 'characterOverlay' },
		[
			['spriteSheetSource', 'url', ['binary', 'url']],
			['characterImagesSource', 'url', ['binary', 'url']],
		],
	],
])('takes the files of an agent’s tool from URLs by default: %#', (node, parameters, sources) => {
	const { description } = node;
	const asTool: INodeType = {
		description: { ...description, name: `${description.name}Tool` },
	};
	const shown = endpointPanel(asTool, parameters);
	const files = shown.filter(({ displayOptions }) => displayOptions?.show?.['@tool']);
	expect(
		files
			.filter(({ name }) => name !== 'toolDescription')
			.map(({ name, default: byDefault, options = [] }) => [
				name,
				byDefault,
				(options as INodePropertyOptions[]).map(({ value }) => value),
			]),
	).toEqual(sources);
});

/** Every combination of the values of the parameters that select an endpoint, and of those that show others. */
function combinations({ description }: INodeType): INodeParameters[] {
	const deciding = new Map<string, Set<string | number | boolean>>();
	for (const { name, type, options } of description.properties) {
		if (type === 'boolean') deciding.set(name, new Set([true, false]));
		if (type !== 'options') continue;
		const values = deciding.get(name) ?? new Set();
		for (const { value } of (options ?? []) as INodePropertyOptions[]) values.add(value);
		deciding.set(name, values);
	}
	const shown = description.properties.flatMap(({ displayOptions }) =>
		Object.keys(displayOptions?.show ?? {}),
	);
	return [...deciding]
		.filter(([name]) => shown.includes(name))
		.reduce<INodeParameters[]>(
			(all, [name, values]) =>
				all.flatMap((each) => [...values].map((value) => ({ ...each, [name]: value }))),
			[{}],
		);
}

describe.each(nodes.map((node) => [node.description.displayName, node] as const))(
	'%s',
	(_, node) => {
		const { properties } = node.description;

		it.each([
			['as a node', node.description.name],
			['as a tool', `${node.description.name}Tool`],
		])('never shows two parameters of one name, %s', (__, name) => {
			const shownAs: INodeType = { description: { ...node.description, name } };
			for (const parameters of combinations(node)) {
				const names = panel(shownAs, parameters).map((property) => property.name);
				expect([parameters, names]).toEqual([parameters, [...new Set(names)]]);
			}
		});

		it('tells an agent’s model what it does in every operation, and of the job_id', () => {
			const asTool: INodeType = {
				description: { ...node.description, name: `${node.description.name}Tool` },
			};
			const texts = new Map<unknown, unknown>();
			for (const parameters of combinations(node)) {
				const [first] = panel(asTool, parameters);
				expect([first?.name, first?.default]).toEqual([
					'toolDescription',
					expect.stringMatching(/job_id/),
				]);
				texts.set(parameters.operation, first?.default);
			}
			expect(new Set(texts.values()).size).toBe(texts.size);
		});

		it('has labels that fit, and examples as placeholders', () => {
			const nested = properties.flatMap(({ options = [] }) =>
				options.flatMap((option) => ('values' in option ? option.values : [])),
			);
			for (const { displayName, placeholder, type } of [...properties, ...nested]) {
				expect(displayName.length).toBeLessThanOrEqual(27);
				if (placeholder === undefined || type.endsWith('ollection')) continue;
				expect(placeholder).toMatch(/^e\.g\. /);
			}
		});

		it('takes no expression where it chooses between its endpoints', () => {
			const selectors = properties.filter(({ name }) => SELECTORS.includes(name));
			expect(selectors.filter(({ noDataExpression }) => !noDataExpression)).toEqual([]);
		});
	},
);

it.each<[INodeType, INodeParameters, string]>([
	[imageTune, {}, 'Upscale Image'],
	[imageTune, { operation: 'splitLayers', waitForCompletion: false }, 'Split Image (No Wait)'],
	[effectGenerate, {}, 'Generate Effect V2'],
	[sprite, {}, 'Make Sprite V1'],
	[sprite, { operation: 'characterOverlay', apiVersion: 'v2' }, 'Overlay Characters V2'],
])('names the action and the version under the node: %#', ({ description }, given, subtitle) => {
	expect(subtitleOf(description, given)).toBe(subtitle);
});

it.each(nodes.map(({ description }) => [description.displayName, description] as const))(
	'under %s stands a subtitle for each of its operations and versions',
	(_, description) => {
		const valuesOf = (name: string): unknown[] => {
			const property = description.properties.find((each) => each.name === name);
			return property ? choicesOf(property) : [undefined];
		};
		for (const operation of valuesOf('operation')) {
			for (const apiVersion of valuesOf('apiVersion')) {
				const given = { operation, apiVersion } as INodeParameters;
				const subtitle = subtitleOf(description, given);
				expect([given, subtitle]).toEqual([given, expect.not.stringMatching(/undefined|null/)]);
			}
		}
	},
);

function subtitleOf(description: INodeTypeDescription, given: INodeParameters): unknown {
	const values = NodeHelpers.getNodeParameters(
		description.properties,
		given,
		true,
		false,
		{ typeVersion: 1 },
		description,
	);
	const node: INode = {
		id: 'node',
		name: 'Node',
		type: description.name,
		typeVersion: 1,
		position: [0, 0],
		parameters: values ?? {},
	};
	const workflow = new Workflow({
		nodes: [node],
		connections: {},
		active: false,
		nodeTypes: {
			getByName: () => ({ description }),
			getByNameAndVersion: () => ({ description }),
			getKnownTypes: () => ({}),
		},
	});
	// As the editor does it.
	return workflow.expression.getSimpleParameterValue(node, description.subtitle, 'internal', {});
}

it.each([
	['Image Tune', imageTune, ['Upscale image', 'Inpaint image', 'Split image into layers']],
	[
		'Sprite',
		sprite,
		['Make animated sprite', 'Reskin sprite sheet', 'Overlay characters on sprite sheet'],
	],
])('lists the actions of %s in the nodes panel', (_, { description }, actions) => {
	const operation = description.properties.find(({ name }) => name === 'operation');
	const options = (operation?.options ?? []) as INodePropertyOptions[];
	expect(options.map(({ action }) => action)).toEqual(actions);
});

it.each<[word: string, names: string[]]>([
	['upscale', ['imageTune']],
	['enlarge', ['imageTune']],
	['inpaint', ['imageTune']],
	['remove object', ['imageTune']],
	['layers', ['imageTune']],
	['sprite', ['sprite']],
	['sprite sheet', ['sprite']],
	['animation', ['sprite']],
	['reskin', ['sprite']],
	['effect', ['effectGenerate']],
	['game art', ['effectGenerate', 'imageGenerate', 'imageTune', 'sprite']],
	['character', ['imageGenerate', 'sprite']],
	...['concept art', 'texture', 'tileset', 'icon', 'portrait', 'midjourney'].map(
		(word): [string, string[]] => [word, ['imageGenerate']],
	),
])('is found in the nodes panel by the words “%s”', (word, names) => {
	const found = nodes.filter(({ description: { name, displayName } }) => {
		const folder = name.charAt(0).toUpperCase() + name.slice(1);
		const codex = path.join(root, 'nodes', folder, `${folder}.node.json`);
		const { alias } = JSON.parse(readFileSync(codex, 'utf8')) as { alias: string[] };
		return [displayName, name, ...alias].some((text) => text.toLowerCase().includes(word));
	});
	expect(found.map(({ description }) => description.name)).toEqual(names);
});
