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
import type { Clock } from '../../nodes/shared/clock';
import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { runJobs } from '../../nodes/shared/engine/runJobs';
import { tinyPicture } from '../emulator/pictures';

/** A run of the Image Generate node whose time, service and n8n are simulated. */
export interface Simulation {
	items: number;
	/** From a job's submit until its result is there. */
	jobMs: (itemIndex: number) => number;
	/** The round trip of every request; default 0. */
	answerMs?: number;
	/** The same of a look-up; default `answerMs`. */
	lookMs?: number;
	/** Default: as many as there are items. */
	maxConcurrentJobs?: number;
	/** The service answers 429 at this time, once. */
	tooManyAtMs?: number;
}

export interface SimulatedJob {
	submittedAtMs: number;
	endsAtMs: number;
	/** When the service was asked for it. */
	looksAtMs: number[];
	/** When the answer "Succeed" was with the node. */
	noticedAtMs: number;
}

export interface SimulationResult {
	/** In the order of the items. */
	jobs: SimulatedJob[];
	/** Every look of the node, in order of time. */
	looksAtMs: number[];
	/** Requests of a kind that waited for their answers at one time, at most. */
	mostAtOnce: { submits: number; looks: number };
	/** Virtual time of the whole run. */
	tookMs: number;
	/** CPU of this process for all of it, simulated service included. */
	cpuMs: number;
	outputItems: number;
}

interface Timer {
	at: number;
	order: number;
	ring: () => void;
	isOver: boolean;
}

/**
 * A clock that jumps to the next thing to wait for once nothing else can go on. Unlike the one of the
 * engine tests it waits for no real input or output, so it is exact and takes no time for itself.
 */
class SimulatedClock implements Clock {
	#now = 0;
	#order = 0;
	/** A binary heap, the soonest first. */
	readonly #timers: Timer[] = [];

	now(): number {
		return this.#now;
	}

	async pause(durationMs: number, signal?: AbortSignal): Promise<void> {
		if (signal?.aborted) return;
		await new Promise<void>((resolve) => {
			const timer: Timer = {
				at: this.#now + durationMs,
				order: this.#order++,
				isOver: false,
				ring: () => {
					signal?.removeEventListener('abort', timer.ring);
					timer.isOver = true;
					resolve();
				},
			};
			signal?.addEventListener('abort', timer.ring, { once: true });
			this.#push(timer);
		});
	}

	/** Lets time pass until the work is done. */
	async run<T>(work: Promise<T>): Promise<T> {
		const state = { isDone: false };
		const done = work.finally(() => {
			state.isDone = true;
		});
		done.catch(() => undefined);
		for (;;) {
			// Everything that needs no waiting goes on before this comes round.
			await new Promise((resolve) => setImmediate(resolve));
			if (state.isDone) return await done;
			const next = this.#pop();
			if (next === undefined) throw new Error('Nothing is waited for, and the work is not done.');
			this.#now = Math.max(this.#now, next.at);
			next.ring();
		}
	}

	#push(timer: Timer): void {
		const timers = this.#timers;
		let at = timers.push(timer) - 1;
		while (at > 0) {
			const above = (at - 1) >> 1;
			const parent = timers[above];
			if (parent === undefined || isBefore(parent, timer)) break;
			timers[at] = parent;
			at = above;
		}
		timers[at] = timer;
	}

	/** The soonest timer that still counts. */
	#pop(): Timer | undefined {
		const timers = this.#timers;
		for (;;) {
			const first = timers[0];
			const last = timers.pop();
			if (first === undefined || last === undefined) return undefined;
			if (timers.length > 0) this.#sink(last);
			if (!first.isOver) return first;
		}
	}

	#sink(timer: Timer): void {
		const timers = this.#timers;
		let at = 0;
		for (;;) {
			const left = timers[2 * at + 1];
			const right = timers[2 * at + 2];
			if (left === undefined) break;
			const takesRight = right !== undefined && isBefore(right, left);
			const child = takesRight ? right : left;
			if (isBefore(timer, child)) break;
			timers[at] = child;
			at = 2 * at + (takesRight ? 2 : 1);
		}
		timers[at] = timer;
	}
}

function isBefore(a: Timer, b: Timer): boolean {
	return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Runs the node's own code from parameters to output items, as fast as the machine can. */
export async function simulate(simulation: Simulation): Promise<SimulationResult> {
	const { items, jobMs, answerMs = 0, lookMs = answerMs, tooManyAtMs } = simulation;
	const { maxConcurrentJobs = items } = simulation;
	const clock = new SimulatedClock();
	const jobs: SimulatedJob[] = [];
	const jobById = new Map<string, SimulatedJob>();
	const looksAtMs: number[] = [];
	let wasTooMany = false;
	const mostAtOnce = { submits: 0, looks: 0 };
	const underWay = { submits: 0, looks: 0 };
	/** There and back again, with the service's part in between. */
	const roundTrip = async <T>(
		kind: keyof typeof underWay,
		tookMs: number,
		serve: () => T,
	): Promise<T> => {
		mostAtOnce[kind] = Math.max(mostAtOnce[kind], ++underWay[kind]);
		if (tookMs > 0) await clock.pause(tookMs / 2);
		const answer = serve();
		if (tookMs > 0) await clock.pause(tookMs / 2);
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
		const job = { submittedAtMs, endsAtMs, looksAtMs: [], noticedAtMs: Number.NaN };
		jobs[itemIndex] = job;
		jobById.set(jobId, job);
		return answer(200, { job_id: jobId });
	};

	const lookUp = (url: string) => {
		const now = clock.now();
		const jobId = url.slice(url.lastIndexOf('/') + 1);
		const job = jobById.get(jobId);
		if (!job) throw new Error(`There is no job ${jobId}.`);
		looksAtMs.push(now);
		job.looksAtMs.push(now);
		if (tooManyAtMs !== undefined && !wasTooMany && now >= tooManyAtMs) {
			wasTooMany = true;
			return answer(429, { detail: 'Too Many Requests' }, { 'retry-after': '10' });
		}
		if (now < job.endsAtMs) {
			return answer(200, { job_id: jobId, status: 'Pending', image_urls: [] });
		}
		job.noticedAtMs = now + lookMs / 2;
		const imageUrls = [`https://cdn.aetherforgeai.com/${jobId}.png`];
		return answer(200, { job_id: jobId, status: 'Succeed', image_urls: imageUrls });
	};

	const context = simulatedContext(items, maxConcurrentJobs, {
		withKey: async ({ method, url, body }) =>
			method === 'POST' && body instanceof FormData
				? await roundTrip('submits', answerMs, () => submit(body.get('prompt')))
				: await roundTrip('looks', lookMs, () => lookUp(url)),
		withoutKey: async () => {
			if (answerMs > 0) await clock.pause(answerMs);
			const picture = tinyPicture('simulated', 'png');
			return { statusCode: 200, headers: {}, body: Readable.from([picture]) };
		},
	});

	const cpuBefore = process.cpuUsage();
	const [output = []] = await clock.run(runJobs(context, generateImage, clock));
	const { user, system } = process.cpuUsage(cpuBefore);
	return {
		jobs,
		looksAtMs,
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
		['options', { maxJobsPerRun: 0, maxConcurrentJobs, timeout: 86_400 }],
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
