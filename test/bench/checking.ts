import type { INode } from 'n8n-workflow';
import { chain, imageGenerate, manualTrigger, noOp, workflow } from '../e2e/workflow';
import { benchNode, withKey, type FreshN8n } from './n8n';

const PROMPT = '=A lighthouse, number {{ $json.row }}';
const LIMIT_SECONDS = 120;
const POLL_EVERY_MS = 10;

/** What comes after the items: this node's check of all of them, or something to compare it with. */
export type Checked = 'node' | 'bareLoop' | 'noOperation';

export interface CheckResult {
	/** From the node's start to its end, in milliseconds. */
	nodeMs: number;
	/** The slowest answer of n8n to another request while the workflow ran, in milliseconds. */
	slowestAnswerMs: number;
}

function measuredNode(checked: Checked): INode {
	switch (checked) {
		case 'node':
			// A dry run is the check and nothing else.
			return imageGenerate({ prompt: PROMPT, options: { dryRun: true } });
		case 'bareLoop':
			return benchNode('Generate', 'readText', {}, PROMPT);
		case 'noOperation':
			return noOp('Generate');
	}
}

/** Runs a workflow with so many items, and asks n8n for a sign of life all the while. */
export async function checkItems(
	n8n: FreshN8n,
	checked: Checked,
	items: number,
): Promise<CheckResult> {
	const stage = benchNode('Stage', 'stage', { items, files: 0, bytes: 0 });
	const file = workflow('Check', chain(manualTrigger(), stage, measuredNode(checked)));
	const credential = await n8n.credentialFor('http://127.0.0.1:9');
	const executionId = await n8n.start(withKey(file, credential));
	const over = new AbortController();
	const slowest = slowestAnswer(`${n8n.client.url}/healthz`, over.signal);
	const execution = await n8n.client.waitForExecution(executionId, LIMIT_SECONDS);
	over.abort();
	if (execution.status !== 'success') throw new Error(execution.errorMessage ?? execution.status);
	if (execution.items('Generate').length !== items) throw new Error('Items are missing.');
	const nodeMs = execution.runData.Generate?.[0]?.executionTime;
	if (nodeMs === undefined) throw new Error('The node has not run.');
	return { nodeMs, slowestAnswerMs: await slowest };
}

async function slowestAnswer(url: string, over: AbortSignal): Promise<number> {
	let slowestMs = 0;
	while (!over.aborted) {
		const askedAt = performance.now();
		// A connection that n8n keeps alive could be dropped while n8n is blocked.
		await fetch(url, { headers: { connection: 'close' } });
		slowestMs = Math.max(slowestMs, performance.now() - askedAt);
		await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
	}
	return slowestMs;
}
