import type {
	IConnections,
	IDataObject,
	INode,
	INodeExecutionData,
	INodeParameters,
	IWorkflowSettings,
} from 'n8n-workflow';

import type { Day, EndpointName } from './day';

/** What has been edited since the day began. */
export interface Edits {
	prompt: number;
	variations: number;
	options: Day['options'];
	onError: Day['onError'];
}

/** A workflow as it is saved, and what the rules have to know of it. */
export interface SavedWorkflow {
	nodes: INode[];
	connections: IConnections;
	settings: IWorkflowSettings;
	edits: Edits;
}

interface EndpointOfDay {
	type: string;
	/** The API's own path. */
	path: string;
	parameters: INodeParameters;
	/** The parameter that takes words, if one does. */
	words?: string;
	/** How the file's parameters begin, and whether the endpoint can do without. */
	file: { prefix: string; isOptional: boolean };
	imageCount: number;
}

function endpoint(
	type: string,
	path: string,
	words: string | undefined,
	parameters: INodeParameters,
	more: Partial<EndpointOfDay> = {},
): EndpointOfDay {
	return {
		type,
		path: `/public/v1/${path}`,
		parameters,
		...(words !== undefined && { words }),
		file: { prefix: 'image', isOptional: false },
		imageCount: 1,
		...more,
	};
}

const overlay = {
	operation: 'characterOverlay',
	characterImagesSource: 'binary',
	characterImagesFields: '={{ $json._files ? $json._files.photo : "photo" }}',
	rowsInput: 'json',
};

export const ENDPOINT_OF: Record<EndpointName, EndpointOfDay> = {
	imageGenerate: endpoint(
		'imageGenerate',
		'generate/image',
		'prompt',
		{},
		{
			file: { prefix: '', isOptional: true },
		},
	),
	upscale: endpoint('imageTune', 'image-tune/upscale', undefined, { operation: 'upscale' }),
	inpaint: endpoint('imageTune', 'image-tune/inpaint/v2', 'prompt', { operation: 'inpaint' }),
	splitLayers: endpoint(
		'imageTune',
		'image-tune/split-layer',
		'keyword',
		{ operation: 'splitLayers' },
		{ imageCount: 4 },
	),
	effectV1: endpoint(
		'effectGenerate',
		'generate/effect/v1',
		'description',
		{ apiVersion: 'v1' },
		{
			file: { prefix: 'image', isOptional: true },
		},
	),
	effectV2: endpoint(
		'effectGenerate',
		'generate/effect/v2',
		'description',
		{ apiVersion: 'v2' },
		{
			file: { prefix: 'image', isOptional: true },
		},
	),
	makeSpriteV1: endpoint(
		'sprite',
		'sprite/make-sprite/v1',
		'text',
		{ operation: 'make', apiVersion: 'v1' },
		{ imageCount: 2 },
	),
	makeSpriteV2: endpoint(
		'sprite',
		'sprite/make-sprite/v2',
		'text',
		{ operation: 'make', apiVersion: 'v2' },
		{ file: { prefix: 'startFrameImage', isOptional: false }, imageCount: 2 },
	),
	reskinV1: endpoint('sprite', 'sprite/reskin/v1', 'description', {
		operation: 'reskin',
		apiVersion: 'v1',
	}),
	reskinV2: endpoint('sprite', 'sprite/reskin/v2', 'description', {
		operation: 'reskin',
		apiVersion: 'v2',
	}),
	overlayV1: endpoint(
		'sprite',
		'sprite/character-overlay/v1',
		'rowsJson',
		{ ...overlay, apiVersion: 'v1' },
		{
			file: { prefix: 'spriteSheet', isOptional: false },
		},
	),
	overlayV2: endpoint(
		'sprite',
		'sprite/character-overlay/v2',
		'rowsJson',
		{ ...overlay, apiVersion: 'v2' },
		{
			file: { prefix: 'spriteSheet', isOptional: false },
		},
	),
};

/** The form field by which the books know who sent a POST. */
export const SENDER = 'sim';
/** From here on an execution's ID is that of a retry. */
export const FIRST_RETRY = 100;
export const ROUNDS = 3;

function words(day: Day, { prompt }: Edits): string {
	const end = prompt === 0 ? '' : `, edited ${prompt} times`;
	const text = {
		own: `"item " + $itemIndex + "${end}"`,
		same: `"the same${end}"`,
		changing: `"item " + $itemIndex + " of " + $execution.id + " at " + $now.toMillis() + "${end}"`,
		goneInRetry: `Number($execution.id) < ${FIRST_RETRY} ? "item${end}" : ""`,
		refusedForOne: `$itemIndex === 1 ? undefined : "item${end}"`,
	}[day.prompt];
	return text;
}

function wordsFor(name: string, expression: string): string {
	if (name !== 'rowsJson') return `={{ ${expression} }}`;
	return `={{ [{ row: 1, title: ${expression}, description: "still" }] }}`;
}

/** Whether files come as fields of the items' JSON. n8n 1 knows no such mode. */
export function isCombined(day: Day): boolean {
	return day.binaryMode === 'combined' && day.n8n === '2.41';
}

export function isDryRun({ options: { dryRun } }: Day): boolean {
	return dryRun === true || dryRun === 'true';
}

export function sendsFile(day: Day): boolean {
	const { isOptional } = ENDPOINT_OF[day.endpoint].file;
	return day.files !== 'none' || !isOptional;
}

function fileParameters(
	{ prefix, isOptional }: EndpointOfDay['file'],
	kind: Day['files'],
	value: string,
): INodeParameters {
	if (kind === 'none' && isOptional) return {};
	if (prefix === '') {
		return kind === 'url'
			? { referenceImages: 'urls', referenceImageUrls: value }
			: { referenceImages: 'selected', binaryPropertyName: value };
	}
	return kind === 'url'
		? { [`${prefix}Source`]: 'url', [`${prefix}Url`]: value }
		: { [`${prefix}Source`]: 'binary', [`${prefix}Field`]: value };
}

function fileValue(day: Day, url: string): string {
	const isInJson = isCombined(day);
	// The loop of the simulator pairs its items with those of the round before.
	switch (day.shape === 'loop' && day.files === 'node' ? 'binary' : day.files) {
		case 'none':
		case 'field':
			return isInJson ? '_files.data' : 'data';
		case 'binary':
			return isInJson ? '={{ $json._files.data }}' : '={{ $binary.data }}';
		case 'node':
			// There an item is its JSON.
			return `={{ $('Hook').item.${isInJson ? '_files' : 'binary'}.data }}`;
		case 'url':
			return url;
	}
}

/** @param url of an image that the service has */
export function workflowOf(day: Day, edits: Edits, url: string): SavedWorkflow {
	const node = (name: string, type: string, more: Partial<INode> = {}): INode => ({
		id: `id-of-${name}`,
		name,
		type,
		typeVersion: 1,
		position: [0, 0],
		parameters: {},
		...more,
	});
	const paid = (name: string, used: EndpointName, files: INodeParameters, text: string): INode => {
		const { type, parameters, words: wordsName } = ENDPOINT_OF[used];
		const { dryRun, ...options } = edits.options;
		return node(name, `n8n-nodes-aetherforge.${type}${day.shape === 'tool' ? 'Tool' : ''}`, {
			parameters: {
				...parameters,
				...files,
				...(wordsName !== undefined && { [wordsName]: wordsFor(wordsName, text) }),
				waitForCompletion: day.waits,
				downloadImages: day.downloads,
				fileName: day.fileName,
				jobsPerItem: edits.variations,
				options: {
					...options,
					...(typeof dryRun === 'string' ? { dryRun: `={{ "${dryRun}" }}` } : { dryRun }),
					fileName: day.fileName,
					jobsPerItem: edits.variations,
					additionalFields: `={{ ({ ${SENDER}: ["${name}", $execution.id, $runIndex, $itemIndex].join("|") }) }}`,
				},
			},
			credentials: { aetherForgeApi: { id: '1', name: 'AetherForge' } },
			onError: edits.onError,
			retryOnFail: day.retryOnFail,
			...(day.executeOnce && { executeOnce: true }),
		});
	};
	const to = (name: string) => [{ node: name, type: 'main' as const, index: 0 }];
	const hook = node('Hook', 'hook');
	const first = paid(
		'Node',
		day.endpoint,
		fileParameters(ENDPOINT_OF[day.endpoint].file, day.files, fileValue(day, url)),
		words(day, edits),
	);
	const rest: INode[] = [];
	const connections: IConnections = { Hook: { main: [to('Node')] } };
	if (day.shape === 'loop') {
		rest.push(node('Loop', 'loop'));
		connections.Hook = { main: [to('Loop')] };
		connections.Loop = { main: [[], to('Node')] };
		connections.Node = { main: [to('Loop')] };
	}
	if (day.shape === 'chain') {
		const field = isCombined(day) ? '_files.data' : 'data';
		const { file } = ENDPOINT_OF[day.second];
		const files = day.downloads
			? fileParameters(file, 'field', field)
			: fileParameters(file, 'url', '={{ $json.image_url }}');
		rest.push(paid('Second', day.second, files, '"second"'));
		connections.Node = { main: [to('Second')] };
	}
	return {
		nodes: day.triggerLast ? [...rest, first, hook] : [hook, first, ...rest],
		connections,
		settings: {
			executionOrder: 'v1',
			...(isCombined(day) && { binaryMode: 'combined' as const }),
		},
		edits,
	};
}

/** Items as a trigger hands them on. */
export async function itemsOf(
	day: Day,
	label: string,
	store: (content: string) => Promise<NonNullable<INodeExecutionData['binary']>[string]>,
): Promise<INodeExecutionData[]> {
	const items: INodeExecutionData[] = [];
	for (let index = 0; index < day.itemCount; index++) {
		const json: IDataObject = day.equalItems
			? { k: label }
			: { k: label, name: `n${index}`, status: 'mine' };
		if (day.circularItems) json.self = json;
		if (!sendsFile(day) || day.files === 'url') {
			items.push({ json });
			if (!day.endpoint.startsWith('overlay')) continue;
		}
		const data = await store(`${label} data ${index}`);
		const photo = await store(`${label} photo ${index}`);
		const inJson = day.fileInJson ? { photo: data } : {};
		items[index] = { json: Object.assign(json, inJson), binary: { data, photo } };
	}
	return items;
}
