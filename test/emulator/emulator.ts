import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ENDPOINT_CASES, type EndpointCase } from '../support/endpointCases';
import { refusalOf, wordsIn } from './endpoints';
import {
	Faults,
	send,
	strike,
	strikesAfterWork,
	type Answer,
	type FaultPlace,
	type RequestRecord,
} from './faults';
import { readForm, type ReceivedForm } from './form';
import { Jobs, readPromptTags, type JobWish, type Submit } from './jobs';
import { tinyPicture } from './pictures';

export type { Fault, FaultPlace, RequestRecord } from './faults';
export type { ReceivedForm } from './form';
export type { ImageFormat, JobWish, Submit } from './jobs';

/** How to start an emulator. */
export interface EmulatorOptions {
	/** Port of the API; 0 (default): any free one. */
	port?: number;
	/** Keys that work; default `test-key`. */
	apiKeys?: readonly string[];
	/** From a job's creation until its outcome shows; default 3000. */
	jobDurationMs?: number;
	/** What a submit's job shall be like, where it differs from the usual one. */
	wish?: (form: ReceivedForm, endpoint: string) => JobWish | undefined;
	/** The clock of the jobs and of the log, in milliseconds; default `Date.now`. */
	now?: () => number;
	/** Whether results are drawn (default). If not, they are tiny, valid, and different. */
	pictures?: boolean;
	/** Takes the place of listening on a loopback port, and gives the server's URL. */
	listen?: (server: Server) => string;
}

/** A running emulator of the AetherForge API. */
export interface Emulator {
	/** The base URL for the credential, without a trailing slash. */
	readonly apiUrl: string;
	/** The origin of the results. It refuses every request that carries an `Authorization` header. */
	readonly cdnUrl: string;
	/** Every request on both origins, in order of arrival. */
	readonly requests: readonly RequestRecord[];
	/** Every paid POST that was accepted, in order of acceptance. */
	readonly submits: readonly Submit[];
	readonly jobs: Jobs;
	readonly faults: Faults;
	/** The keys that work. May be changed while it runs. */
	readonly apiKeys: Set<string>;
	/** Ends both servers at once, stalled connections included. */
	close(): Promise<void>;
}

interface Exchange {
	request: IncomingMessage;
	response: ServerResponse;
	record: RequestRecord;
	/** Without the query. */
	path: string;
}

const JOB_PATH = /^\/public\/v1\/job\/([^/]+)$/;
const RESULT_PATH = /^\/results\/([^/]+)\/(\d+)\.(png|gif)$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Starts an emulator of the API on two free loopback ports. */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
	const { jobDurationMs = 3000, pictures = true, now = Date.now } = options;
	const jobs = new Jobs(now, jobDurationMs);
	const faults = new Faults();
	const requests: RequestRecord[] = [];
	const submits: Submit[] = [];
	const apiKeys = new Set(options.apiKeys ?? ['test-key']);
	let cdnUrl = '';

	function keyRefusal(request: IncomingMessage): Answer | undefined {
		const key = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
		return apiKeys.has(key) ? undefined : says(401, 'Invalid API key');
	}

	function accept(endpoint: EndpointCase, form: ReceivedForm): string {
		const { path, results } = endpoint;
		const { text, slowness, outcome } = readPromptTags(wordsIn(endpoint, form.fields));
		const wish = options.wish?.(form, path);
		const { id } = jobs.add({
			durationMs: jobDurationMs * slowness,
			prompt: text,
			fields: form.fields,
			...wish,
			outcome: { images: results, ...outcome, ...wish?.outcome },
		});
		submits.push({ jobId: id, endpoint: path, ...form, acceptedAtMs: now() });
		return id;
	}

	async function answerSubmit(exchange: Exchange, endpoint: EndpointCase): Promise<void> {
		const { request, response, record } = exchange;
		const early = faults.take('submit', record, true);
		if (early) {
			await strike(early, request, response, json(200, {}), now());
			return;
		}
		let form: ReceivedForm;
		try {
			form = await readForm(request);
		} catch (error) {
			send(response, says(400, (error as Error).message));
			return;
		}
		record.form = form;
		await answerOrStrike('submit', exchange, () => {
			const refusal = refusalOf(endpoint, form);
			const refused = keyRefusal(request) ?? (refusal && says(refusal.status, refusal.detail));
			if (refused) return refused;
			record.jobId = accept(endpoint, form);
			return json(200, { job_id: record.jobId });
		});
	}

	async function answerPoll(exchange: Exchange, input: string): Promise<void> {
		const id = input.toLowerCase();
		exchange.record.jobId = id;
		await answerOrStrike('poll', exchange, () => {
			const refused = keyRefusal(exchange.request);
			if (refused) return refused;
			if (!UUID.test(id)) {
				const msg = 'Input should be a valid UUID';
				return says(422, [{ type: 'uuid_parsing', loc: ['path', 'job_id'], msg, input }]);
			}
			const job = jobs.find(id);
			// The document has no text for an unknown job, only the status.
			return job ? json(200, jobs.answerOf(job, cdnUrl)) : says(404, 'Job not found');
		});
	}

	async function answerApi(exchange: Exchange): Promise<void> {
		const { request, response, path } = exchange;
		const endpoint = ENDPOINT_CASES.find((candidate) => candidate.path === path);
		const jobId = JOB_PATH.exec(path)?.[1];
		const allowed = endpoint ? 'POST' : 'GET';
		if (!endpoint && jobId === undefined) send(response, says(404, 'Not Found'));
		else if (request.method !== allowed) send(response, says(405, 'Method Not Allowed'));
		else if (endpoint) await answerSubmit(exchange, endpoint);
		else await answerPoll(exchange, decodeURIComponent(jobId ?? ''));
	}

	async function answerCdn(exchange: Exchange): Promise<void> {
		const { request, response, record, path } = exchange;
		// A key must never come here, so not even a fault may hide that it did. No `detail`: this is not the API.
		if (request.headers.authorization !== undefined) {
			const error = 'The API key must never be sent to this origin.';
			send(response, json(400, { error }));
			return;
		}
		const [, jobId = '', number = '', format] = RESULT_PATH.exec(path) ?? [];
		const job = jobs.find(jobId);
		if (job) record.jobId = job.id;
		const found = job?.outcome.images[Number(number) - 1];
		if (request.method !== 'GET' || !job || !found || found !== format) {
			send(response, json(404, { error: 'No such result' }));
			return;
		}
		await answerOrStrike('download', exchange, async () => ({
			status: 200,
			headers: { 'content-type': `image/${found}` },
			body: pictures
				? // Loaded here, so that tests with tiny pictures never load the drawing library.
					await (await import('./draw')).draw(job, Number(number), found)
				: tinyPicture(`${job.id}-${number}.${found}`, found),
		}));
	}

	async function answerOrStrike(
		place: FaultPlace,
		{ request, response, record }: Exchange,
		work: () => Answer | Promise<Answer>,
	): Promise<void> {
		const fault = faults.take(place, record);
		const answer = !fault || strikesAfterWork(fault) ? await work() : json(200, {});
		if (fault) await strike(fault, request, response, answer, now());
		else send(response, answer);
	}

	function serve(server: 'api' | 'cdn', answer: (exchange: Exchange) => Promise<void>): Server {
		return createServer((request, response) => {
			const { url = '/', method = '', headers } = request;
			const record: RequestRecord = { server, method, path: url, headers, startedAtMs: now() };
			requests.push(record);
			response.once('close', () => {
				record.endedAtMs = now();
				if (response.headersSent) record.status = response.statusCode;
			});
			const path = url.replace(/\?.*/s, '');
			answer({ request, response, record, path }).catch((error: unknown) => {
				if (!response.headersSent) send(response, says(500, String(error)));
				else request.socket.destroy();
			});
		});
	}

	const [api, cdn] = [serve('api', answerApi), serve('cdn', answerCdn)];
	const apiUrl = options.listen?.(api) ?? (await listen(api, options.port));
	cdnUrl = options.listen?.(cdn) ?? (await listen(cdn));
	const close = async () => {
		await Promise.all([shut(api), shut(cdn)]);
	};
	return { apiUrl, cdnUrl, requests, submits, jobs, faults, apiKeys, close };
}

function json(status: number, body: object): Answer {
	const headers = { 'content-type': 'application/json' };
	return { status, headers, body: Buffer.from(JSON.stringify(body)) };
}

function says(status: number, detail: string | object[]): Answer {
	return json(status, { detail });
}

async function listen(server: Server, port = 0): Promise<string> {
	// Idle connections stay open for long: a client that reuses one must not meet its end by chance.
	server.keepAliveTimeout = 120_000;
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.listen({ port, host: '127.0.0.1', backlog: 4096 }, resolve);
	});
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function shut(server: Server): Promise<void> {
	await new Promise((resolve) => {
		server.close(resolve);
		server.closeAllConnections();
	});
}
