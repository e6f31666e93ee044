import { setTimeout as sleep } from 'node:timers/promises';
import type { N8nServer } from '../e2e/real-n8n/server';
import type { Started } from '../e2e/real-n8n/started';
import { chain, imageGenerate, manualTrigger, noOp, workflow } from '../e2e/workflow';
import { riseDuring } from './gate';
import { checkDownloads, nodeMs, openService, ran, saved, type User } from './n8n';
import { benchNode, stage } from './nodes';
import { cpuMs } from './processMemory';

const JOB_MS = 10_000;
/** The node's default. */
const CONCURRENCY = 20;
const PROMPT = '=A lighthouse, number {{ $json.row }}';

/** How long the node takes for jobs of 10 s side by side, as a multiple of one job's time. */
export async function jobTimes(
	{ url }: N8nServer,
	items: number,
	started: Started,
): Promise<number> {
	const user = await openService(url, { jobDurationMs: JOB_MS }, started);
	const generate = imageGenerate({ prompt: PROMPT, options: { maxConcurrentJobs: items } });
	const file = workflow('Jobs', chain(manualTrigger(), stage(items), generate));
	const execution = await ran(user, await saved(user, file));
	checkDownloads(user, items);
	return nodeMs(execution, 'Generate') / JOB_MS;
}

/**
 * CPU milliseconds of n8n an item, from parameters to stored image, of the node and of the requests
 * alone that it cannot do without. Everything of n8n's own around them is in both.
 */
export async function cpuMsPerItem(
	{ url, pid }: N8nServer,
	way: 'node' | 'bareRequests',
	items: number,
	started: Started,
): Promise<number> {
	const user = await openService(url, { jobDurationMs: 0 }, started);
	const options = { maxConcurrentJobs: CONCURRENCY, maxJobsPerExecution: 0 };
	const details = { baseUrl: user.emulator.apiUrl, concurrency: CONCURRENCY };
	const measured =
		way === 'node'
			? imageGenerate({ prompt: PROMPT, options })
			: benchNode('Requests', 'bareRequests', details);
	const nodes = [stage(items), measured] as const;
	const rise = await riseDuring(user, started, nodes, async () => await cpuMs(pid));
	checkDownloads(user, items);
	return rise / items;
}

/** What comes after the items: this node's check of all of them, or something to compare it with. */
const checked = {
	// A dry run is the check and nothing else.
	node: () => imageGenerate({ prompt: PROMPT, options: { dryRun: true } }),
	bareLoop: () => benchNode('Generate', 'readText', {}, PROMPT),
	noOperation: () => noOp('Generate'),
};

/** Runs a workflow with so many items, and asks n8n for a sign of life all the while. */
export async function checkItems(
	user: User,
	way: keyof typeof checked,
	items: number,
): Promise<{ checkMs: number; slowestMs: number }> {
	const file = workflow('Check', chain(manualTrigger(), stage(items), checked[way]()));
	const over = new AbortController();
	const slowest = slowestAnswer(`${user.client.url}/healthz`, over.signal);
	const execution = await ran(user, await saved(user, file)).finally(() => {
		over.abort();
	});
	if (execution.items('Generate').length !== items) throw new Error('Items are missing.');
	return { checkMs: nodeMs(execution, 'Generate'), slowestMs: await slowest };
}

async function slowestAnswer(url: string, over: AbortSignal): Promise<number> {
	let slowestMs = 0;
	while (!over.aborted) {
		const askedAt = performance.now();
		// A connection that n8n keeps alive could be dropped while n8n is blocked.
		await fetch(url, { headers: { connection: 'close' } });
		slowestMs = Math.max(slowestMs, performance.now() - askedAt);
		await sleep(10);
	}
	return slowestMs;
}
