import { setTimeout as sleep } from 'node:timers/promises';
import type { N8nServer } from '../e2e/real-n8n/server';
import type { Started } from '../e2e/real-n8n/started';
import { chain, imageGenerate, manualTrigger, noOp, workflow, type Link } from '../e2e/workflow';
import { riseDuring } from './gate';
import { nodeMs, openService, ran, saved, type User } from './n8n';
import {
	benchNode,
	httpDownload,
	httpStatusCheck,
	httpSubmit,
	ifStatus,
	stage,
	waitSeconds,
} from './nodes';
import { cpuMs } from './processMemory';

const JOB_MS = 10_000;
/** As the pattern is usually built. */
const WAIT_SECONDS = 3;
/** The node's default. */
const CONCURRENCY = 20;
const PROMPT = '=A lighthouse, number {{ $json.row }}';

/** How long it takes until the last image of jobs of 10 s has arrived, as a multiple of one job's time. */
export async function jobTimes(
	{ url }: N8nServer,
	way: 'node' | 'batched',
	items: number,
	started: Started,
): Promise<number> {
	const user = await openService(url, { jobDurationMs: JOB_MS }, started);
	const staged = stage(items);
	const linksOf = (): Link[] => {
		if (way === 'node') {
			const generate = imageGenerate({ prompt: PROMPT, options: { maxConcurrentJobs: items } });
			return chain(staged, generate);
		}
		const { apiUrl } = user.emulator;
		const wait = waitSeconds(WAIT_SECONDS);
		const finished = ifStatus('Finished?', 'Succeed');
		const submit = httpSubmit(apiUrl, PROMPT, 0);
		const round = chain(staged, submit, wait, httpStatusCheck(apiUrl), finished, httpDownload());
		return [...round, [finished, wait, 1]];
	};
	const file = workflow(way, [...chain(manualTrigger(), staged), ...linksOf()]);
	const { runData } = await ran(user, await saved(user, file));
	const begunAtMs = runData[way === 'node' ? 'Generate' : 'Submit']?.[0]?.startTime ?? Number.NaN;
	return (Math.max(...arrivalsOf(user, items)) - begunAtMs) / JOB_MS;
}

/** When the images had arrived. */
function arrivalsOf({ emulator }: User, images: number): number[] {
	const arrived = emulator.requests.filter(
		({ server, status }) => server === 'cdn' && status === 200,
	);
	if (arrived.length === images) return arrived.map(({ endedAtMs = Number.NaN }) => endedAtMs);
	throw new Error(`${arrived.length} of ${images} images arrived.`);
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
	const rise = await riseDuring(user, [stage(items), measured], async () => await cpuMs(pid));
	return rise / arrivalsOf(user, items).length;
}

/** What comes after the items: this node's check of all of them, or something to compare it with. */
const checked = {
	// A dry run is the check and nothing else.
	node: () => imageGenerate({ prompt: PROMPT, options: { dryRun: true } }),
	bareLoop: () => benchNode('Generate', 'readText', {}, PROMPT),
	noOperation: () => noOp('Generate'),
};
export type Checked = keyof typeof checked;

/** Runs a workflow with so many items, and asks n8n for a sign of life all the while. */
export async function checkItems(
	user: User,
	way: Checked,
	items: number,
): Promise<{ checkMs: number; slowestAnswerMs: number }> {
	const file = workflow('Check', chain(manualTrigger(), stage(items), checked[way]()));
	const over = new AbortController();
	const slowest = slowestAnswer(`${user.client.url}/healthz`, over.signal);
	const execution = await ran(user, await saved(user, file)).finally(() => {
		over.abort();
	});
	if (execution.items('Generate').length !== items) throw new Error('Items are missing.');
	return { checkMs: nodeMs(execution, 'Generate'), slowestAnswerMs: await slowest };
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
