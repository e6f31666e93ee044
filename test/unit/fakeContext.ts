import type { IExecuteFunctions, INode, INodeParameters } from 'n8n-workflow';

import type { Store } from '../../nodes/shared/engine/jobs/journalRow';
import type { JobSlot } from '../../nodes/shared/engine/jobs/plan';
import type { Deduplication } from '../simulator/disk';

/** n8n's context for a node with these parameters: what a test gives, and nothing else. */
export function fakeContext(
	parameters: INodeParameters,
	given: object,
	type = 'imageGenerate',
): IExecuteFunctions {
	const node: INode = {
		id: 'node',
		name: 'Node',
		type: `n8n-nodes-aetherforge.${type}`,
		typeVersion: 1,
		position: [0, 0],
		parameters,
	};
	return { getNode: () => node, ...given } as object as IExecuteFunctions;
}

/** What of n8n's helpers reaches its database, which is asked for at each call: n8n may start again. */
export function storeIn(database: () => Deduplication, workflowId: () => string): Store {
	const place = () =>
		({ workflow: { id: workflowId() }, node: { id: 'node' } }) as Parameters<
			Deduplication['removeProcessed']
		>[2];
	return {
		checkProcessedAndRecord: async (texts, scope, options) =>
			await database().checkProcessedAndRecord(texts, scope, place(), options),
		removeProcessed: async (texts, scope, options) => {
			await database().removeProcessed(texts, scope, place(), options);
		},
		getProcessedDataCount: async (scope, options) =>
			await database().getProcessedDataCount(scope, place(), options),
	};
}

/** The place of a job: that of an item's variation, from 1. */
export function slotOf(itemIndex: number, jobNumber = 1): JobSlot {
	return { itemIndex, jobNumber, jobCount: 1 };
}
