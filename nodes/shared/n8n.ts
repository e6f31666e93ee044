import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';

/**
 * What n8n keeps for the node while its workflow runs, and saves with the execution. n8n's own Agents
 * call a node without an execution, and n8n throws: then it is gone with the call.
 */
export function contextOf(context: IExecuteFunctions): IDataObject {
	try {
		return context.getContext('node');
	} catch {
		return {};
	}
}

/**
 * Whether the node runs as an AI agent's tool. n8n drops binary data there and gives every call a
 * separate run index. n8n's `isToolExecution` is false for tools of the newest agents.
 */
export function isTool(context: IExecuteFunctions): boolean {
	return context.getNode().type.endsWith('Tool');
}

/** Where n8n keeps an item's files when a workflow's binary mode is "combined". */
export const COMBINED_BINARY_KEY = '_files';
