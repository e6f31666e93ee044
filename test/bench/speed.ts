import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { INode } from 'n8n-workflow';
import type { WorkflowFile } from '../e2e/real-n8n/rest-client';
import {
	chain,
	imageGenerate,
	loopOverItems,
	manualTrigger,
	noOp,
	workflow,
} from '../e2e/workflow';
import { riseDuring, succeeded, withService, type Bench } from './gate';
import {
	benchNode,
	httpDownload,
	httpStatusCheck,
	httpSubmit,
	ifFinished,
	waitSeconds,
	withKey,
	type FreshN8n,
} from './n8n';
import { cpuMs } from './processMemory';

const JOB_MS = 10_000;
/** As the pattern is usually built. */
const WAIT_SECONDS = 3;
const LIMIT_MS = 400_000;
/** The node's default. */
const CONCURRENCY = 20;
const PROMPT = '=A lighthouse, number {{ $json.row }}';

export type Pattern = 'node' | 'batched' | 'looped';

/** How long it takes until the last image of jobs of 10 s has arrived, as a multiple of one job's time. */
export async function jobTimes(n8n: FreshN8n, pattern: Pattern, items: number): Promise<number> {
	return await withService(n8n, { jobDurationMs: JOB_MS }, async (bench) => {
		const { service, gate } = bench;
		const file = workflowOf(pattern, items, bench);
		const executionId = await n8n.start(withKey(file, await n8n.credentialFor(service.apiUrl)));
		const arrival = await gate.arrival(LIMIT_MS);
		const begunAtMs = Date.now();
		arrival.open();
		await succeeded(n8n, executionId);
		return (Math.max(...arrivalsOf(bench, items)) - begunAtMs) / JOB_MS;
	});
}

function arrivalsOf({ service }: Bench, images: number): number[] {
	const arrivedAtMs = service.downloadedAtMs();
	if (arrivedAtMs.length === images) return arrivedAtMs;
	throw new Error(`${arrivedAtMs.length} of ${images} images arrived.`);
}

function stageOf(items: number): INode {
	return benchNode('Stage', 'stage', { items, files: 0, bytes: 0 });
}

function workflowOf(pattern: Pattern, items: number, { service, gate }: Bench): WorkflowFile {
	const begin = benchNode('Before', 'gate', { url: gate.url });
	const start = chain(manualTrigger(), stageOf(items), begin);
	if (pattern === 'node') {
		const generate = imageGenerate({ prompt: PROMPT, options: { maxConcurrentJobs: items } });
		return workflow('Node', [...start, [begin, generate]]);
	}
	const submit = httpSubmit(service.apiUrl, PROMPT, 0);
	const wait = waitSeconds(WAIT_SECONDS);
	const finished = ifFinished();
	const download = httpDownload('={{ $json.image_urls[0] }}');
	const rounds = chain(submit, wait, httpStatusCheck(service.apiUrl), finished, download);
	const again = [finished, wait, 1] as const;
	if (pattern === 'batched') {
		return workflow('Batched', [...start, [begin, submit], ...rounds, again]);
	}
	const loop = loopOverItems();
	const inLoop = [[begin, loop], [loop, submit, 1], ...rounds, again, [download, loop]] as const;
	return workflow('Looped', [...start, ...inLoop]);
}

/**
 * CPU milliseconds of n8n an item, from parameters to stored image, of the node and of the requests
 * alone that it cannot do without. Everything of n8n's own around them is in both.
 */
export async function cpuMsPerItem(
	n8n: FreshN8n,
	way: 'node' | 'bareRequests',
	items: number,
): Promise<number> {
	return await withService(n8n, { jobDurationMs: 0 }, async (bench) => {
		const options = { maxConcurrentJobs: CONCURRENCY, maxJobsPerExecution: 0 };
		const details = { baseUrl: bench.service.apiUrl, concurrency: CONCURRENCY };
		const measured =
			way === 'node'
				? imageGenerate({ prompt: PROMPT, options })
				: benchNode('Requests', 'bareRequests', details);
		const rise = await riseDuring(bench, [stageOf(items), measured], cpuMs);
		return rise / arrivalsOf(bench, items).length;
	});
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
	n8n: FreshN8n,
	way: Checked,
	items: number,
): Promise<{ nodeMs: number; slowestAnswerMs: number }> {
	const file = workflow('Check', chain(manualTrigger(), stageOf(items), checked[way]()));
	const credential = await n8n.credentialFor('http://127.0.0.1:9');
	const executionId = await n8n.start(withKey(file, credential));
	const over = new AbortController();
	const slowest = slowestAnswer(`${n8n.client.url}/healthz`, over.signal);
	const execution = await succeeded(n8n, executionId);
	over.abort();
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
		await sleep(10);
	}
	return slowestMs;
}

/** How many milliseconds a fresh process takes to load the installed package and make its classes. */
export async function loadMs(packageFolder: string): Promise<number> {
	const root = resolve(__dirname, '..', '..');
	const script = join(root, 'test', 'package', 'measureLoad.cjs');
	const { stdout } = await promisify(execFile)(process.execPath, [script, packageFolder], {
		env: { ...process.env, NODE_ENV: undefined, NODE_PATH: join(root, 'node_modules') },
	});
	return Number(stdout);
}
