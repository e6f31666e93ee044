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
