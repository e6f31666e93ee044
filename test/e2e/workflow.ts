import { randomUUID } from 'node:crypto';
import type { INode, INodeParameters, NodeInputConnections } from 'n8n-workflow';
import type { SavedCredential, WorkflowFile } from './real-n8n/rest-client';

export type NodeSettings = Pick<
	INode,
	'onError' | 'webhookId' | 'retryOnFail' | 'maxTries' | 'waitBetweenTries'
>;

export function node(
	name: string,
	type: string,
	typeVersion: number,
	parameters: INodeParameters,
	settings: NodeSettings = {},
): INode {
	return { id: randomUUID(), name, type, typeVersion, position: [0, 0], parameters, ...settings };
}

const prefix = 'n8n-nodes-aetherforge.';
const own =
	(name: string, type: string) =>
	(parameters: INodeParameters, settings?: NodeSettings): INode =>
		node(name, `${prefix}${type}`, 1, parameters, settings);

export const imageGenerate = own('Generate', 'imageGenerate');
export const imageTune = own('Tune', 'imageTune');
export const effectGenerate = own('Effect', 'effectGenerate');
export const sprite = own('Sprite', 'sprite');
export const getJob = own('Get Job', 'getJob');

/** Whether a node, or a type of nodes, is of this package, be it as an AI agent's tool. */
export function isOurs(type: string): boolean {
	return type.startsWith(prefix);
}

export function manualTrigger(): INode {
	return node('Start', 'n8n-nodes-base.manualTrigger', 1, {});
}

export function everySecond(): INode {
	const rule = { interval: [{ field: 'seconds', secondsInterval: 1 }] };
	return node('Start', 'n8n-nodes-base.scheduleTrigger', 1.2, { rule });
}

/** A webhook that answers with the last node's first item, or at once (`onReceived`). */
export function webhook(path: string, responseMode = 'lastNode'): INode {
	const parameters = { httpMethod: 'POST', path, responseMode, options: {} };
	return node('Start', 'n8n-nodes-base.webhook', 2, parameters, { webhookId: randomUUID() });
}

/** Offers the tools that are connected to it to MCP clients, under `mcp/<path>`. */
export function mcpTrigger(path: string): INode {
	const type = '@n8n/n8n-nodes-langchain.mcpTrigger';
	return node('Start', type, 2, { path }, { webhookId: randomUUID() });
}

/** Where a workflow begins that other workflows call. */
export function calledByWorkflow(): INode {
	const parameters = { inputSource: 'passthrough' };
	return node('Start', 'n8n-nodes-base.executeWorkflowTrigger', 1.1, parameters);
}

/** Calls a workflow once for each item, and puts out what comes back. */
export function callForEachItem(workflowId: string): INode {
	const parameters = {
		workflowId: { __rl: true, mode: 'id', value: workflowId },
		mode: 'each',
		options: { waitForSubWorkflow: true },
	};
	return node('Call', 'n8n-nodes-base.executeWorkflow', 1.2, parameters);
}

/** Puts out one item with the given JSON, or with what an expression gives. */
export function oneItem(name: string, json: object | string): INode {
	const jsonOutput = typeof json === 'string' ? json : JSON.stringify(json);
	return node(name, 'n8n-nodes-base.set', 3.4, { mode: 'raw', jsonOutput, options: {} });
}

/** Puts what an expression gives under a name into the item's JSON. */
export function setField(name: string, value: string): INode {
	const assignments = [{ id: 'field', name, type: 'object', value }];
	return node('Set', 'n8n-nodes-base.set', 3.4, { assignments: { assignments }, options: {} });
}

/** Makes an item of each entry of a list, under the list's own name. */
export function splitOut(field: string): INode {
	const parameters = { fieldToSplitOut: field, options: {} };
	return node(`Split ${field}`, 'n8n-nodes-base.splitOut', 1, parameters);
}

/** An item with a picture in the field `photo`. */
export function pictureNodes(picture: Buffer): INode[] {
	const toFile = node('To file', 'n8n-nodes-base.convertToFile', 1.1, {
		operation: 'toBinary',
		sourceProperty: 'picture',
		binaryPropertyName: 'photo',
		options: { fileName: 'photo.png', mimeType: 'image/png' },
	});
	return [oneItem('Picture', { picture: picture.toString('base64') }), toFile];
}

/** n8n's own node for any address, with one of this package's credentials. */
export function httpRequest(url: string, credential: SavedCredential): INode {
	const { id, name, type } = credential;
	const parameters = { url, authentication: 'predefinedCredentialType', nodeCredentialType: type };
	return {
		...node('Request', 'n8n-nodes-base.httpRequest', 4.2, { ...parameters, options: {} }),
		credentials: { [type]: { id, name } },
	};
}

export function noOp(name: string): INode {
	return node(name, 'n8n-nodes-base.noOp', 1, {});
}

/** Gives one item at a time on its second output, until all have come round. */
export function loopOverItems(): INode {
	return node('Loop', 'n8n-nodes-base.splitInBatches', 3, { options: {} });
}

/** A connection from one of a node's outputs, the first unless given. */
export type Link = readonly [from: INode, to: INode, output?: number];

/** Each node linked to the next. */
export function chain(...nodes: INode[]): Link[] {
	return nodes.slice(1).map((to, index) => [nodes[index] ?? to, to]);
}

/** Builds a workflow of all the nodes that its links name. */
export function workflow(name: string, links: readonly Link[]): WorkflowFile {
	const nodes = new Map<string, INode>();
	const outputsOf = new Map<string, NodeInputConnections>();
	for (const [from, to, output = 0] of links) {
		nodes.set(from.name, from).set(to.name, to);
		const outputs = outputsOf.get(from.name) ?? [];
		outputsOf.set(from.name, outputs);
		while (outputs.length <= output) outputs.push([]);
		outputs[output]?.push({ node: to.name, type: 'main', index: 0 });
	}
	return {
		name,
		nodes: [...nodes.values()],
		connections: Object.fromEntries([...outputsOf].map(([from, main]) => [from, { main }])),
		settings: { executionOrder: 'v1', saveManualExecutions: true },
	};
}

/** The workflow with its files in the items' JSON, which n8n 1 does not do. */
export function combined(file: WorkflowFile): WorkflowFile {
	return { ...file, settings: { ...file.settings, binaryMode: 'combined' } };
}

/** The workflow with a credential chosen in every AetherForge node, as a person does after an import. */
export function withCredential(file: WorkflowFile, credential: SavedCredential): WorkflowFile {
	const { id, name, type } = credential;
	return {
		...file,
		nodes: file.nodes.map((each) =>
			isOurs(each.type) ? { ...each, credentials: { [type]: { id, name } } } : each,
		),
	};
}
