import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type {
	IBinaryData,
	IDataObject,
	IExecuteFunctions,
	IHttpRequestOptions,
	IWorkflowDataProxyData,
} from 'n8n-workflow';
import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { runJobs } from '../../nodes/shared/engine/runJobs';
import { imageJobProperties } from '../../nodes/shared/properties';
import { tinyPicture } from '../emulator/pictures';
import { VirtualClock } from '../support/virtualClock';

/** A run of the Image Generate node whose time, service and n8n are simulated. */
export interface Simulation {
	items: number;
	/** From a job's submit until its result is there. */
	jobMs: (itemIndex: number) => number;
	/** The round trip of every request; default 0. */
	answerMs?: number;
	/** The same of a status check; default `answerMs`. */
	pollMs?: number;
	/** Default: as many as there are items. */
	maxConcurrentJobs?: number;
	/** The service answers 429 at this time, once. */
	rateLimitedAtMs?: number;
}

export interface SimulatedJob {
	submittedAtMs: number;
	endsAtMs: number;
	/** When its status was checked. */
	pollsAtMs: number[];
	/** When the answer "Succeed" was with the node. */
	noticedAtMs: number;
}

export interface SimulationResult {
	/** In the order of the items. */
	jobs: SimulatedJob[];
	/** Every status check of the node, in order of time. */
	pollsAtMs: number[];
	/** Requests of a kind that waited for their answers at one time, at most. */
	mostAtOnce: { submits: number; polls: number };
	/** Virtual time of the whole run. */
	tookMs: number;
	/** CPU of this process for all of it, simulated service included. */
	cpuMs: number;
	outputItems: number;
}

/** Runs the node's own code from parameters to output items, as fast as the machine can. */
export async function simulate(simulation: Simulation): Promise<SimulationResult> {
	const { items, jobMs, answerMs = 0, pollMs = answerMs, rateLimitedAtMs } = simulation;
	const { maxConcurrentJobs = items } = simulation;
	const clock = new VirtualClock(0, Infinity);
	const jobs: SimulatedJob[] = [];
	const jobById = new Map<string, SimulatedJob>();
	const pollsAtMs: number[] = [];
	let wasRateLimited = false;
	const mostAtOnce = { submits: 0, polls: 0 };
	const underWay = { submits: 0, polls: 0 };
	/** There and back again, with the service's part in between. */
	const roundTrip = async <T>(
		kind: keyof typeof underWay,
		tookMs: number,
		serve: () => T,
	): Promise<T> => {
		mostAtOnce[kind] = Math.max(mostAtOnce[kind], ++underWay[kind]);
		if (tookMs > 0) await clock.sleep(tookMs / 2);
		const answer = serve();
		if (tookMs > 0) await clock.sleep(tookMs / 2);
		underWay[kind]--;
		return answer;
	};
	const answer = (statusCode: number, body: object, headers: IDataObject = {}) => ({
		statusCode,
		headers,
		body: Readable.from([Buffer.from(JSON.stringify(body))]),
	});

	const submit = (prompt: unknown) => {
		const itemIndex = Number(prompt);
		const jobId = randomUUID();
		const submittedAtMs = clock.now();
		const endsAtMs = submittedAtMs + jobMs(itemIndex);
		const job = { submittedAtMs, endsAtMs, pollsAtMs: [], noticedAtMs: Number.NaN };
		jobs[itemIndex] = job;
		jobById.set(jobId, job);
		return answer(200, { job_id: jobId });
	};

	const checkStatus = (url: string) => {
		const now = clock.now();
		const jobId = url.slice(url.lastIndexOf('/') + 1);
		const job = jobById.get(jobId);
		if (!job) throw new Error(`There is no job ${jobId}.`);
		pollsAtMs.push(now);
		job.pollsAtMs.push(now);
		if (rateLimitedAtMs !== undefined && !wasRateLimited && now >= rateLimitedAtMs) {
			wasRateLimited = true;
			return answer(429, { detail: 'Too Many Requests' }, { 'retry-after': '10' });
		}
		if (now < job.endsAtMs) {
			return answer(200, { job_id: jobId, status: 'Pending', image_urls: [] });
		}
		job.noticedAtMs = now + pollMs / 2;
		const imageUrls = [`https://cdn.aetherforgeai.com/${jobId}.png`];
		return answer(200, { job_id: jobId, status: 'Succeed', image_urls: imageUrls });
	};

	const context = simulatedContext(items, maxConcurrentJobs, {
		withKey: async ({ method, url, body }) =>
			method === 'POST' && body instanceof FormData
				? await roundTrip('submits', answerMs, () => submit(body.get('prompt')))
				: await roundTrip('polls', pollMs, () => checkStatus(url)),
		withoutKey: async () => {
			if (answerMs > 0) await clock.sleep(answerMs);
			const picture = tinyPicture('simulated', 'png');
			return { statusCode: 200, headers: {}, body: Readable.from([picture]) };
		},
	});

	const cpuBefore = process.cpuUsage();
	const [output = []] = await clock.run(
		runJobs(context, [generateImage], imageJobProperties, clock),
	);
	const { user, system } = process.cpuUsage(cpuBefore);
	return {
		jobs,
		pollsAtMs,
		mostAtOnce,
		tookMs: clock.now(),
		cpuMs: (user + system) / 1000,
		outputItems: output.length,
	};
}

interface SimulatedHttp {
	withKey: (options: IHttpRequestOptions) => Promise<unknown>;
	withoutKey: (options: IHttpRequestOptions) => Promise<unknown>;
}

/** As much of n8n as the node uses. */
function simulatedContext(
	items: number,
	maxConcurrentJobs: number,
	{ withKey, withoutKey }: SimulatedHttp,
): IExecuteFunctions {
	const input = Array.from({ length: items }, (_, row) => ({ json: { row } }));
	const parameters = new Map<string, unknown>([
		['aiModel', 'GPT Image 1.5'],
		['referenceImages', 'none'],
		['waitForCompletion', true],
		['downloadImages', true],
		['binaryPropertyOutput', 'data'],
		['options', { maxJobsPerExecution: 0, maxConcurrentJobs, timeout: 86_400 }],
	]);
	const node = {
		id: 'node',
		name: 'Generate',
		type: 'n8n-nodes-aetherforge.imageGenerate',
		typeVersion: 1,
		position: [0, 0] as [number, number],
		parameters: { prompt: '={{ $json.row }}' },
	};
	const nodeContext: IDataObject = {};
	const helpers = {
		httpRequestWithAuthentication: async (_: string, options: IHttpRequestOptions) =>
			await withKey(options),
		httpRequest: withoutKey,
		prepareBinaryData: async (
			content: Buffer | Readable,
			fileName = '',
			mimeType = '',
		): Promise<IBinaryData> => {
			if (content instanceof Readable) await buffer(content);
			return { data: 'filesystem-v2', id: 'simulated', fileName, mimeType };
		},
	};
	const ignore = () => undefined;
	const context: Partial<IExecuteFunctions> = {
		getInputData: () => input,
		getNode: () => node,
		getMode: () => 'trigger',
		getExecutionId: () => '1',
		getWorkflow: () => ({ active: false }),
		getWorkflowSettings: () => ({}),
		getContext: () => nodeContext,
		getWorkflowDataProxy: () => ({ $runIndex: 0 }) as Partial<IWorkflowDataProxyData> as never,
		getNodeParameter: (name: string, itemIndex: number, fallback?: unknown) =>
			(name === 'prompt' ? String(itemIndex) : (parameters.get(name) ?? fallback)) as never,
		getCredentials: async () =>
			await Promise.resolve({ apiKey: 'key', baseUrl: 'https://api.aetherforgeai.com' } as never),
		getExecutionCancelSignal: ignore,
		continueOnFail: () => false,
		addExecutionHints: ignore,
		logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
		helpers: helpers as Partial<IExecuteFunctions['helpers']> as IExecuteFunctions['helpers'],
	};
	return context as IExecuteFunctions;
}
