import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import type { Started } from '../e2e/real-n8n/started';
import { getJob, imageGenerate } from '../e2e/workflow';
import { riseDuring, withService, type Bench } from './gate';
import { benchNode, httpDownload, httpSubmit, startFreshN8n, type N8nKit } from './n8n';
import { clearPeak, residentMemory } from './processMemory';
import { BENCH_KEY } from './service';

const REFERENCES = 10;
const BYTES_PER_MEGABYTE = 1_000_000;
/** n8n has settled after the steps before. */
const SETTLE_MS = 1000;

/** `piped` is the least there is: Node.js' own request, with nothing of n8n between file and socket. */
export type Way = 'node' | 'httpRequest' | 'buffered' | 'piped';

/**
 * How many megabytes the peak of n8n's resident memory rises, in an n8n of its own, while 10 files of
 * this size each are uploaded, or one result of this size is downloaded.
 */
export async function memoryPeak(
	kit: N8nKit,
	what: 'upload' | 'download',
	way: Way,
	megabytes: number,
	onStarted: Started['add'],
): Promise<number> {
	const n8n = await startFreshN8n(kit, onStarted);
	const resultMegabytes = what === 'download' ? megabytes : 0;
	const options = { jobDurationMs: 0, resultMegabytes };
	try {
		return await withService(n8n, options, async (bench) =>
			what === 'upload'
				? await uploadPeak(bench, way, megabytes * BYTES_PER_MEGABYTE)
				: await downloadPeak(bench, way),
		);
	} finally {
		await n8n.stop();
	}
}

async function uploadPeak(bench: Bench, way: Way, bytes: number): Promise<number> {
	const { apiUrl, emulator } = bench.service;
	const details = { baseUrl: apiUrl, apiKey: BENCH_KEY };
	const ways: Record<Way, INode> = {
		node: imageGenerate({
			prompt: 'A lighthouse',
			referenceImages: 'all',
			waitForCompletion: false,
		}),
		httpRequest: httpSubmit(apiUrl, 'A lighthouse', REFERENCES),
		buffered: benchNode('Upload', 'uploadBuffered', details),
		piped: benchNode('Upload', 'uploadPiped', details),
	};
	const stage = benchNode('Stage', 'stage', { items: 1, files: REFERENCES, bytes });
	const rise = await riseDuring(bench, [stage, ways[way]], lookAtMemory);
	const sizes = emulator.submits.flatMap(({ files }) => files.map((file) => file.bytes));
	if (
		emulator.submits.length !== 1 ||
		sizes.reduce((sum, size) => sum + size, 0) !== REFERENCES * bytes
	) {
		throw new Error(`The service got files of ${sizes.join(', ')} bytes.`);
	}
	return rise;
}

async function downloadPeak(bench: Bench, way: Way): Promise<number> {
	const { emulator, downloadedAtMs } = bench.service;
	const { id: jobId } = emulator.jobs.add({ durationMs: 0 });
	const url = `${emulator.cdnUrl}/results/${jobId}/1.png`;
	const ways: Record<Way, INode> = {
		node: getJob({ jobId }),
		httpRequest: httpDownload(url),
		buffered: benchNode('Download', 'downloadBuffered', { url }),
		piped: benchNode('Download', 'downloadPiped', { url }),
	};
	const stage = benchNode('Stage', 'stage', { items: 1, files: 0, bytes: 0 });
	const rise = await riseDuring(bench, [stage, ways[way]], lookAtMemory);
	const { length } = downloadedAtMs();
	if (length !== 1) throw new Error(`The service saw ${length} downloads.`);
	return rise;
}

async function lookAtMemory(pid: number, isOver: boolean): Promise<number> {
	if (isOver) return (await residentMemory(pid)).peak;
	await sleep(SETTLE_MS);
	await clearPeak(pid);
	return (await residentMemory(pid)).now;
}
