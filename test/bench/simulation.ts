import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { IDataObject, IExecuteFunctions, IHttpRequestOptions } from 'n8n-workflow';
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
	const clock = new VirtualClock(0, Infinity);
	const service = new SimulatedService(simulation, clock);
	const context = contextOf(simulation, service);
	const cpuBefore = process.cpuUsage();
	const work = runJobs(context, [generateImage], imageJobProperties, clock);
	const [output = []] = await clock.run(work);
	const { user, system } = process.cpuUsage(cpuBefore);
	const { jobs, pollsAtMs, mostAtOnce } = service;
	return {
		jobs,
		pollsAtMs,
		mostAtOnce,
		tookMs: clock.now(),
		cpuMs: (user + system) / 1000,
		outputItems: output.length,
	};
}

class SimulatedService {
	readonly jobs: SimulatedJob[] = [];
	readonly pollsAtMs: number[] = [];
	readonly mostAtOnce = { submits: 0, polls: 0 };
	readonly #underWay = { submits: 0, polls: 0 };
	readonly #jobById = new Map<string, SimulatedJob>();
	readonly #jobMs: Simulation['jobMs'];
	readonly #answerMs: number;
	readonly #pollMs: number;
	readonly #clock: VirtualClock;
	#rateLimitedAtMs: number;

	constructor(
		{ jobMs, answerMs = 0, pollMs = answerMs, rateLimitedAtMs = Infinity }: Simulation,
		clock: VirtualClock,
	) {
		this.#jobMs = jobMs;
		this.#answerMs = answerMs;
		this.#pollMs = pollMs;
		this.#rateLimitedAtMs = rateLimitedAtMs;
		this.#clock = clock;
	}

	async answerApi({ method, url, body }: IHttpRequestOptions): Promise<unknown> {
		return method === 'POST' && body instanceof FormData
			? await this.#roundTrip('submits', this.#answerMs, () => this.#submit(body))
			: await this.#roundTrip('polls', this.#pollMs, () => this.#checkStatus(url));
	}

	async answerDownload(): Promise<unknown> {
		if (this.#answerMs > 0) await this.#clock.sleep(this.#answerMs);
		const picture = tinyPicture('simulated', 'png');
		return { statusCode: 200, headers: {}, body: Readable.from([picture]) };
	}

	/** There and back again, with the service's part in between. */
	async #roundTrip<T>(kind: 'submits' | 'polls', tookMs: number, serve: () => T): Promise<T> {
		this.mostAtOnce[kind] = Math.max(this.mostAtOnce[kind], ++this.#underWay[kind]);
		if (tookMs > 0) await this.#clock.sleep(tookMs / 2);
		const answer = serve();
		if (tookMs > 0) await this.#clock.sleep(tookMs / 2);
		this.#underWay[kind]--;
		return answer;
	}

	#submit(form: FormData): unknown {
		const itemIndex = Number(form.get('prompt'));
		const jobId = randomUUID();
		const submittedAtMs = this.#clock.now();
		const endsAtMs = submittedAtMs + this.#jobMs(itemIndex);
		const job = { submittedAtMs, endsAtMs, pollsAtMs: [], noticedAtMs: Number.NaN };
		this.jobs[itemIndex] = job;
		this.#jobById.set(jobId, job);
		return answer(200, { job_id: jobId });
	}

	#checkStatus(url: string): unknown {
		const now = this.#clock.now();
		const jobId = url.slice(url.lastIndexOf('/') + 1);
		const job = this.#jobById.get(jobId);
		if (!job) throw new Error(`There is no job ${jobId}.`);
		this.pollsAtMs.push(now);
		job.pollsAtMs.push(now);
		if (now >= this.#rateLimitedAtMs) {
			this.#rateLimitedAtMs = Infinity;
			return answer(429, { detail: 'Too Many Requests' }, { 'retry-after': '10' });
		}
		const isOver = now >= job.endsAtMs;
		if (isOver) job.noticedAtMs = now + this.#pollMs / 2;
		return answer(200, {
			job_id: jobId,
			status: isOver ? 'Succeed' : 'Pending',
			image_urls: isOver ? [`https://cdn.aetherforgeai.com/${jobId}.png`] : [],
		});
	}
}

function answer(statusCode: number, body: object, headers: IDataObject = {}): unknown {
	return { statusCode, headers, body: Readable.from([Buffer.from(JSON.stringify(body))]) };
}

/** As much of n8n as the node uses. */
function contextOf(
	{ items, maxConcurrentJobs = items }: Simulation,
	service: SimulatedService,
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
		parameters: { prompt: '={{ $json.row }}' },
	};
	const nodeContext: IDataObject = {};
	const ignore = () => undefined;
	return {
		getInputData: () => input,
		getNode: () => node,
		getMode: () => 'trigger',
		getExecutionId: () => '1',
		getWorkflow: () => ({ active: false }),
		getWorkflowSettings: () => ({}),
		getContext: () => nodeContext,
		getWorkflowDataProxy: () => ({ $runIndex: 0 }),
		getNodeParameter: (name: string, itemIndex: number, fallback?: unknown) =>
			name === 'prompt' ? String(itemIndex) : (parameters.get(name) ?? fallback),
		getCredentials: async () =>
			await Promise.resolve({ apiKey: 'key', baseUrl: 'https://api.aetherforgeai.com' }),
		getExecutionCancelSignal: ignore,
		continueOnFail: () => false,
		addExecutionHints: ignore,
		logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
		helpers: {
			httpRequestWithAuthentication: async (_: string, options: IHttpRequestOptions) =>
				await service.answerApi(options),
			httpRequest: async () => await service.answerDownload(),
			prepareBinaryData: async (content: Buffer | Readable, fileName = '', mimeType = '') => {
				if (content instanceof Readable) await buffer(content);
				return { data: 'filesystem-v2', id: 'simulated', fileName, mimeType };
			},
		},
	} as object as IExecuteFunctions;
}

const MOST_POLLS_A_SECOND = 20;

/** The most polls in any window of one second. */
export function mostPollsInASecond(pollsAtMs: readonly number[]): number {
	let from = 0;
	const inWindow = pollsAtMs.map((at, to) => {
		while (at - (pollsAtMs[from] ?? at) >= 1000) from++;
		return to - from + 1;
	});
	return inWindow.reduce((most, each) => Math.max(most, each), 0);
}

/** The shortest time between two polls of a node, whatever their jobs. */
export function shortestGapMs(pollsAtMs: readonly number[]): number {
	return pollsAtMs
		.slice(1)
		.reduce((gap, at, index) => Math.min(gap, at - (pollsAtMs[index] ?? -Infinity)), Infinity);
}

/**
 * The largest share that any job took of the delay it was allowed: its result may be noticed 10 % of the
 * job's time late, or 2 s, or jobs ÷ 20 s.
 *
 * @param answerMs the round trip of a request. No pacing can save those of two: of the poll that came
 *   just too early, and of the one that noticed
 */
export function delayShare({ jobs }: SimulationResult, jobsAtOnce: number, answerMs = 0): number {
	return jobs.reduce((share, { submittedAtMs, endsAtMs, noticedAtMs }) => {
		const allowedMs = Math.max(
			(endsAtMs - submittedAtMs) / 10,
			2000,
			(jobsAtOnce / MOST_POLLS_A_SECOND) * 1000,
		);
		return Math.max(share, (noticedAtMs - endsAtMs - 2 * answerMs) / allowedMs);
	}, 0);
}
