import type {
	IConnections,
	IDataObject,
	INode,
	INodeExecutionData,
	INodeParameters,
	IWorkflowBase,
} from 'n8n-workflow';

import { ENDPOINT_CASES } from '../support/endpointCases';
import type { Day } from './day';

/** What has been edited since the day began. */
export interface Edits {
	prompt: number;
	variations: number;
	options: Day['options'];
	onError: Day['onError'];
}

/** A workflow as it is saved, and what the rules have to know of it. */
export interface SavedWorkflow extends Required<
	Pick<IWorkflowBase, 'nodes' | 'connections' | 'settings'>
> {
	edits: Edits;
}

/** What the day has to know of a paid endpoint. */
type EndpointFacts = ReturnType<typeof endpointOf>;

/** @param name the part of its path that is its own */
export function endpointOf(name: string) {
	const found = ENDPOINT_CASES.find(({ path }) => path === `/public/v1/${name}`);
	if (!found) throw new Error(`no endpoint ${name}`);
	const file = found.fields.find(({ kind }) => kind === 'files');
	const hasRows = found.fields.some(({ kind }) => kind === 'table');
	const characters = {
		characterImagesSource: 'binary',
		characterImagesFields: '={{ $json._files ? $json._files.photo : "photo" }}',
		rowsInput: 'json',
	};
	return {
		type: found.node,
		parameters: { ...found.parameters, ...(hasRows && characters) },
		/** The parameter that takes words, if one does. */
		words: hasRows ? 'rowsJson' : found.fields.find(({ kind }) => kind === 'text')?.name,
		/** Of the parameters for its file; those for reference images have names of their own. */
		filePrefix: file?.name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
		needsFile: file !== undefined && file.isOptional !== true,
		/** Whether it takes characters for the rows of a sprite sheet besides. */
		hasRows,
	};
}

/** The form field by which the books know who sent a POST. */
export const SENDER = 'sim';
/** From here on an execution's ID is that of a retry. */
export const FIRST_RETRY = 100;
export const ROUNDS = 3;

function wordsOf(day: Day, { prompt }: Edits): string {
	const end = prompt === 0 ? '' : `, edited ${prompt} times`;
	return {
		own: `"item " + $itemIndex + "${end}"`,
		same: `"the same${end}"`,
		changing: `"item " + $itemIndex + " of " + $execution.id + " at " + $now.toMillis() + "${end}"`,
		goneInRetry: `Number($execution.id) < ${FIRST_RETRY} ? "item${end}" : ""`,
		refusedForOne: `$itemIndex === 1 ? undefined : "item${end}"`,
	}[day.prompt];
}

/** Whether files come as fields of the items' JSON. n8n 1 knows no such mode. */
export function isCombined(day: Day): boolean {
	return day.binaryMode === 'combined' && day.n8n === '2.41';
}

export function isDryRun({ options: { dryRun } }: Day): boolean {
	return dryRun === true || dryRun === 'true';
}

export function sendsFile(day: Day): boolean {
	const { filePrefix, needsFile } = endpointOf(day.endpoint);
	return needsFile || (filePrefix !== undefined && day.files !== 'none');
}

function fileParameters(
	{ filePrefix, needsFile }: EndpointFacts,
	kind: Day['files'],
	value: string,
): INodeParameters {
	if (filePrefix === undefined || (kind === 'none' && !needsFile)) return {};
	if (filePrefix === 'refImages') {
		return kind === 'url'
			? { referenceImages: 'urls', referenceImageUrls: value }
			: { referenceImages: 'selected', binaryPropertyName: value };
	}
	return kind === 'url'
		? { [`${filePrefix}Source`]: 'url', [`${filePrefix}Url`]: value }
		: { [`${filePrefix}Source`]: 'binary', [`${filePrefix}Field`]: value };
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
	const paid = (
		name: string,
		{ type, parameters, words, hasRows }: EndpointFacts,
		files: INodeParameters,
		text: string,
	): INode => {
		const { dryRun, ...options } = edits.options;
		const rows = `[{ row: 1, title: ${text}, description: "still" }]`;
		// Image Generate has it beside the options, the other nodes among them.
		const jobsPerItem = edits.variations;
		return node(name, `n8n-nodes-aetherforge.${type}${day.shape === 'tool' ? 'Tool' : ''}`, {
			parameters: {
				...parameters,
				...files,
				...(words !== undefined && { [words]: `={{ ${hasRows ? rows : text} }}` }),
				waitForCompletion: day.waits,
				downloadImages: day.downloads,
				fileName: day.fileName,
				jobsPerItem,
				options: {
					...options,
					dryRun: typeof dryRun === 'string' ? `={{ "${dryRun}" }}` : dryRun,
					jobsPerItem,
					additionalFields: `={{ ({ ${SENDER}: ["${name}", $execution.id, $runIndex, $itemIndex].join("|") }) }}`,
				},
			},
			credentials: { aetherForgeApi: { id: '1', name: 'AetherForge' } },
			onError: edits.onError,
			retryOnFail: day.retryOnFail,
			executeOnce: day.executeOnce === true,
		});
	};
	const to = (name: string) => [{ node: name, type: 'main' as const, index: 0 }];
	const hook = node('Hook', 'hook');
	const endpoint = endpointOf(day.endpoint);
	const files = fileParameters(endpoint, day.files, fileValue(day, url));
	const nodes = [paid('Node', endpoint, files, wordsOf(day, edits))];
	const connections: IConnections = { Hook: { main: [to('Node')] } };
	if (day.shape === 'loop') {
		nodes.push(node('Loop', 'loop'));
		connections.Hook = { main: [to('Loop')] };
		connections.Loop = { main: [[], to('Node')] };
		connections.Node = { main: [to('Loop')] };
	}
	if (day.shape === 'chain') {
		const second = endpointOf(day.second);
		const given = day.downloads
			? fileParameters(second, 'field', isCombined(day) ? '_files.data' : 'data')
			: fileParameters(second, 'url', '={{ $json.image_url }}');
		nodes.push(paid('Second', second, given, '"second"'));
		connections.Node = { main: [to('Second')] };
	}
	return {
		nodes: day.triggerLast ? [...nodes.reverse(), hook] : [hook, ...nodes],
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
	const needsFiles = endpointOf(day.endpoint).hasRows || (sendsFile(day) && day.files !== 'url');
	const items: INodeExecutionData[] = [];
	for (let index = 0; index < day.itemCount; index++) {
		const json: IDataObject = { k: label };
		if (!day.equalItems) Object.assign(json, { name: `n${index}`, status: 'mine' });
		if (day.circularItems) json.self = json;
		items.push({ json });
		if (!needsFiles) continue;
		const data = await store(`${label} data ${index}`);
		const photo = await store(`${label} photo ${index}`);
		if (day.fileInJson) Object.assign(json, { photo: data });
		items[index] = { json, binary: { data, photo } };
	}
	return items;
}
