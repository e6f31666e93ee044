import {
	loopOverItems,
	chain,
	imageGenerate,
	manualTrigger,
	workflow,
	type Link,
} from '../e2e/workflow';
import type { WorkflowFile } from '../e2e/real-n8n/rest-client';
import { makeGate } from './gate';
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
import { startService, type Service } from './service';

const JOB_MS = 10_000;
/** As the pattern is usually built. */
const WAIT_SECONDS = 3;
const LIMIT_SECONDS = 400;
/** The node's default. */
const CONCURRENCY = 20;
const PROMPT = '=A lighthouse, number {{ $json.row }}';

export type Pattern = 'node' | 'batched' | 'looped';

/**
 * How long it takes until the last image of jobs of 10 s has arrived, as a multiple of one job's time.
 */
export async function jobTimes(n8n: FreshN8n, pattern: Pattern, items: number): Promise<number> {
	return await withService(JOB_MS, async (service) => {
		const gate = await makeGate();
		try {
			const file = workflowOf(pattern, items, service.apiUrl, gate.url);
			const credential = await n8n.credentialFor(service.apiUrl);
			const executionId = await n8n.start(withKey(file, credential));
			const arrival = await gate.arrival(LIMIT_SECONDS * 1000);
			const begunAtMs = Date.now();
			arrival.open();
			const { status, errorMessage } = await n8n.client.waitForExecution(
				executionId,
				LIMIT_SECONDS,
			);
			if (status !== 'success') throw new Error(errorMessage ?? status);
			const { downloads, lastAnswerAtMs } = await service.report();
			if (downloads !== items) throw new Error(`${downloads} of ${items} images arrived.`);
			return (lastAnswerAtMs - begunAtMs) / JOB_MS;
		} finally {
			await gate.close();
		}
	});
}

function workflowOf(
	pattern: Pattern,
	items: number,
	apiUrl: string,
	gateUrl: string,
): WorkflowFile {
	const stage = benchNode('Stage', 'stage', { items, files: 0, bytes: 0 });
	const start = chain(manualTrigger(), stage, benchNode('Before', 'gate', { url: gateUrl }));
	const begin = start.at(-1)?.[1];
	if (!begin) throw new Error('A chain has an end.');
	if (pattern === 'node') {
		const generate = imageGenerate({ prompt: PROMPT, options: { maxConcurrentJobs: items } });
		return workflow('Node', [...start, [begin, generate]]);
	}
	const [wait, check, finished] = [
		waitSeconds(WAIT_SECONDS),
		httpStatusCheck(apiUrl),
		ifFinished(),
	];
	const submit = httpSubmit(apiUrl, PROMPT, 0);
	const download = httpDownload('={{ $json.image_urls[0] }}');
	const rounds: Link[] = [...chain(submit, wait, check, finished, download), [finished, wait, 1]];
	if (pattern === 'batched') return workflow('Batched', [...start, [begin, submit], ...rounds]);
	const loop = loopOverItems();
	return workflow('Looped', [
		...start,
		[begin, loop],
		[loop, submit, 1],
		...rounds,
		[download, loop],
	]);
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
	return await withService(0, async (service) => {
		const gate = await makeGate();
		try {
			const stage = benchNode('Stage', 'stage', { items, files: 0, bytes: 0 });
			const measured =
				way === 'node'
					? imageGenerate({
							prompt: PROMPT,
							options: { maxConcurrentJobs: CONCURRENCY, maxJobsPerExecution: 0 },
						})
					: benchNode('Requests', 'bareRequests', {
							baseUrl: service.apiUrl,
							concurrency: CONCURRENCY,
						});
			const file = workflow(
				'Items',
				chain(
					manualTrigger(),
					stage,
					benchNode('Before', 'gate', { url: gate.url }),
					measured,
					benchNode('After', 'gate', { url: gate.url }),
				),
			);
			const executionId = await n8n.start(withKey(file, await n8n.credentialFor(service.apiUrl)));
			const begin = await gate.arrival(LIMIT_SECONDS * 1000);
			const before = await cpuMs(begin.pid);
			begin.open();
			const end = await gate.arrival(LIMIT_SECONDS * 1000);
			const after = await cpuMs(end.pid);
			end.open();
			const { status, errorMessage } = await n8n.client.waitForExecution(executionId);
			if (status !== 'success') throw new Error(errorMessage ?? status);
			const { downloads } = await service.report();
			if (downloads !== items) throw new Error(`${downloads} of ${items} images arrived.`);
			return (after - before) / items;
		} finally {
			await gate.close();
		}
	});
}

async function withService<T>(
	jobDurationMs: number,
	work: (service: Service) => Promise<T>,
): Promise<T> {
	const service = await startService({ jobDurationMs });
	try {
		return await work(service);
	} finally {
		await service.stop();
	}
}
