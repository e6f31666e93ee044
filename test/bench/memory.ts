import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import type { Started } from '../e2e/real-n8n/started';
import { getJob, imageGenerate } from '../e2e/workflow';
import { riseDuring } from './gate';
import { BENCH_KEY, openService, startServer, type N8nKit, type User } from './n8n';
import { benchNode, httpDownload, httpSubmit, stage } from './nodes';
import { clearPeak, residentMemory } from './processMemory';

const REFERENCES = 10;
const BYTES_PER_MEGABYTE = 1_000_000;
/** n8n has settled after the steps before. */
const SETTLE_MS = 1000;

/** `piped` is the least there is: Node.js' own request, with nothing of n8n between file and socket. */
export type Way = 'node' | 'httpRequest' | 'piped';

/**
 * How many megabytes the peak of n8n's resident memory rises, in an n8n of its own, while 10 files of
 * this size each are uploaded, or one result of this size is downloaded.
 */
export async function memoryPeak(
	kit: N8nKit,
	what: 'upload' | 'download',
	way: Way,
	megabytes: number,
	started: Started,
): Promise<number> {
	const { url, pid, stop } = await startServer(kit, started);
	const user = await openService(url, { jobDurationMs: 0 }, started);
	const workOf = what === 'upload' ? upload : download;
	const { nodes, arrived } = workOf(user, way, megabytes);
	const rise = await riseDuring(user, started, nodes, async (when) => {
		if (when === 'after') return await residentMemory(pid, 'peak');
		await sleep(SETTLE_MS);
		await clearPeak(pid);
		return await residentMemory(pid);
	});
	await stop();
	await user.emulator.close();
	if (!arrived()) throw new Error(`Not all of the ${what} arrived.`);
	return rise;
}

interface Work {
	nodes: [stage: INode, measured: INode];
	arrived: () => boolean;
}

function upload({ emulator }: User, way: Way, megabytes: number): Work {
	const { apiUrl, submits } = emulator;
	const prompt = 'A lighthouse';
	const bytes = megabytes * BYTES_PER_MEGABYTE;
	const ways: Record<Way, INode> = {
		node: imageGenerate({ prompt, referenceImages: 'all', waitForCompletion: false }),
		httpRequest: httpSubmit(apiUrl, prompt, REFERENCES),
		piped: benchNode('Upload', 'uploadPiped', { baseUrl: apiUrl, apiKey: BENCH_KEY }),
	};
	return {
		nodes: [stage(1, REFERENCES, bytes), ways[way]],
		arrived: () => {
			const files = submits.flatMap((submit) => submit.files);
			return files.length === REFERENCES && files.every((file) => file.bytes === bytes);
		},
	};
}

function download({ emulator }: User, way: Way, megabytes: number): Work {
	emulator.faults.add({ at: 'download', times: Infinity, kind: 'hugeBody', megabytes });
	const { id: jobId } = emulator.jobs.add({ durationMs: 0 });
	const url = `${emulator.cdnUrl}/results/${jobId}/1.png`;
	const ways: Record<Way, INode> = {
		node: getJob({ jobId }),
		httpRequest: httpDownload(url),
		piped: benchNode('Download', 'downloadPiped', { url }),
	};
	const isDownload = ({ server, status }: (typeof emulator.requests)[number]) =>
		server === 'cdn' && status === 200;
	return {
		nodes: [stage(1), ways[way]],
		arrived: () => emulator.requests.filter(isDownload).length === 1,
	};
}
