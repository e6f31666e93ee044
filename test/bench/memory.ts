import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import type { Started } from '../e2e/real-n8n/started';
import { chain, getJob, imageGenerate, manualTrigger, workflow } from '../e2e/workflow';
import { makeGate, type Arrival, type Gate } from './gate';
import {
	benchNode,
	httpDownload,
	httpSubmit,
	startFreshN8n,
	withKey,
	type FreshN8n,
	type N8nKit,
} from './n8n';
import { clearPeak, residentMemory } from './processMemory';
import { BENCH_KEY, startService, type Service } from './service';

const REFERENCES = 10;
const BYTES_PER_MEGABYTE = 1_000_000;
/** n8n has settled after the steps before. */
const SETTLE_MS = 1000;
const ARRIVAL_LIMIT_MS = 120_000;

/** `piped` is the least there is: Node.js' own request, with nothing of n8n between file and socket. */
export type Way = 'node' | 'httpRequest' | 'buffered' | 'piped';

/**
 * How many megabytes the peak of n8n's resident memory rises while 10 files of this size each are
 * uploaded, in an n8n of its own.
 */
export async function uploadPeak(
	kit: N8nKit,
	way: Way,
	megabytesEach: number,
	onStarted: Started['add'],
): Promise<number> {
	const bytes = megabytesEach * BYTES_PER_MEGABYTE;
	return await inFreshN8n(kit, { jobDurationMs: 0 }, onStarted, async ({ n8n, service, gate }) => {
		const measured: Record<Way, () => INode> = {
			node: () =>
				imageGenerate({
					prompt: 'A lighthouse',
					referenceImages: 'all',
					waitForCompletion: false,
				}),
			httpRequest: () => httpSubmit(service.apiUrl, 'A lighthouse', REFERENCES),
			buffered: () =>
				benchNode('Upload', 'uploadBuffered', { baseUrl: service.apiUrl, apiKey: BENCH_KEY }),
			piped: () =>
				benchNode('Upload', 'uploadPiped', { baseUrl: service.apiUrl, apiKey: BENCH_KEY }),
		};
		const stage = benchNode('Stage', 'stage', { items: 1, files: REFERENCES, bytes });
		const rise = await riseDuring(n8n, service, gate, [stage, measured[way]()]);
		const { submits } = await service.report();
		const [submit] = submits;
		if (submits.length !== 1 || submit?.bytes !== REFERENCES * bytes) {
			throw new Error(`The service got ${JSON.stringify(submits)}.`);
		}
		return rise;
	});
}

/** The same while one result of this size is downloaded. */
export async function downloadPeak(
	kit: N8nKit,
	way: Way,
	resultMegabytes: number,
	onStarted: Started['add'],
): Promise<number> {
	const options = { jobDurationMs: 0, resultMegabytes };
	return await inFreshN8n(kit, options, onStarted, async ({ n8n, service, gate }) => {
		const { jobId, imageUrl } = await service.finishedJob();
		const measured: Record<Way, () => INode> = {
			node: () => getJob({ jobId }),
			httpRequest: () => httpDownload(imageUrl),
			buffered: () => benchNode('Download', 'downloadBuffered', { url: imageUrl }),
			piped: () => benchNode('Download', 'downloadPiped', { url: imageUrl }),
		};
		const stage = benchNode('Stage', 'stage', { items: 1, files: 0, bytes: 0 });
		const rise = await riseDuring(n8n, service, gate, [stage, measured[way]()]);
		const { downloads } = await service.report();
		if (downloads !== 1) throw new Error(`The service saw ${downloads} downloads.`);
		return rise;
	});
}

interface Case {
	n8n: FreshN8n;
	service: Service;
	gate: Gate;
}

async function inFreshN8n(
	kit: N8nKit,
	options: Parameters<typeof startService>[0],
	onStarted: Started['add'],
	measure: (each: Case) => Promise<number>,
): Promise<number> {
	const service = await startService(options);
	const gate = await makeGate();
	try {
		const n8n = await startFreshN8n(kit, onStarted);
		try {
			return await measure({ n8n, service, gate });
		} finally {
			await n8n.stop();
		}
	} finally {
		await gate.close();
		await service.stop();
	}
}

/** Nobody asks n8n anything in between, so that nothing but the node takes memory. */
async function riseDuring(
	n8n: FreshN8n,
	service: Service,
	gate: Gate,
	[stage, measured]: readonly [INode, INode],
): Promise<number> {
	const before = benchNode('Before', 'gate', { url: gate.url });
	const after = benchNode('After', 'gate', { url: gate.url });
	const file = workflow('Bench', chain(manualTrigger(), stage, before, measured, after));
	const credential = await n8n.credentialFor(service.apiUrl);
	const executionId = await n8n.start(withKey(file, credential));
	const arrive = async (): Promise<Arrival> => {
		try {
			return await gate.arrival(ARRIVAL_LIMIT_MS);
		} catch (error) {
			const { errorMessage } = await n8n.client.waitForExecution(executionId, 5);
			throw new Error(errorMessage ?? String(error));
		}
	};
	const begin = await arrive();
	await sleep(SETTLE_MS);
	await clearPeak(begin.pid);
	const { now } = await residentMemory(begin.pid);
	begin.open();
	const end = await arrive();
	const { peak } = await residentMemory(end.pid);
	end.open();
	const { status, errorMessage } = await n8n.client.waitForExecution(executionId);
	if (status !== 'success') throw new Error(errorMessage ?? status);
	return peak - now;
}
