import type { IExecuteFunctions, INode, INodeParameters } from 'n8n-workflow';

import type { JobSlot } from '../../nodes/shared/engine/jobs/plan';

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

/** The place of a job: that of an item's variation, from 1. */
export function slotOf(itemIndex: number, jobNumber = 1): JobSlot {
	return { itemIndex, jobNumber, jobCount: 1 };
}
