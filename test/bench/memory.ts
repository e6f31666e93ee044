import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import type { Started } from '../e2e/real-n8n/started';
import { getJob, imageGenerate } from '../e2e/workflow';
import { riseDuring } from './gate';
import { BENCH_KEY, checkDownloads, openService, startServer, type N8nKit, type User } from './n8n';
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
	const { nodes, check } = workOf(user, way, megabytes);
	const rise = await riseDuring(user, started, nodes, async (when) => {
		if (when === 'after') return await residentMemory(pid, 'peak');
		await sleep(SETTLE_MS);
		await clearPeak(pid);
		return await residentMemory(pid);
	});
	await stop();
	check();
	return rise;
}

interface Work {
	nodes: [stage: INode, measured: INode];
	/** @throws Error unless all has arrived */
	check: () => void;
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
		check: () => {
			const sizes = submits.flatMap(({ files }) => files.map((file) => file.bytes));
			if (sizes.filter((size) => size === bytes).length === REFERENCES) return;
			throw new Error(`The service got files of ${sizes.join(', ')} bytes.`);
		},
	};
}

function download(user: User, way: Way, megabytes: number): Work {
	const { emulator } = user;
	emulator.faults.add({ at: 'download', times: Infinity, kind: 'hugeBody', megabytes });
	const { id: jobId } = emulator.jobs.add({ durationMs: 0 });
	const url = `${emulator.cdnUrl}/results/${jobId}/1.png`;
	const ways: Record<Way, INode> = {
		node: getJob({ jobId }),
		httpRequest: httpDownload(url),
		piped: benchNode('Download', 'downloadPiped', { url }),
	};
	return {
		nodes: [stage(1), ways[way]],
		check: () => {
			checkDownloads(user, 1);
		},
	};
}
