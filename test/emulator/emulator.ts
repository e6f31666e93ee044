import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ENDPOINTS, type Endpoint } from './endpoints';
import {
	Faults,
	send,
	strike,
	strikesAfterWork,
	type Answer,
	type Fault,
	type FaultPlace,
	type RequestRecord,
} from './faults';
import { ClientGone, MalformedForm, readForm, type ReadForm, type ReceivedForm } from './form';
import { Jobs, readPromptTags, type Job, type JobWish, type Outcome, type Submit } from './jobs';
import { pictureSource } from './pictures';
import { refusalOf, type Refusal } from './validation';

export type { AddedFault, Fault, FaultKind, FaultPlace, RequestRecord } from './faults';
export type { ReceivedFile, ReceivedForm } from './form';
export type { ImageFormat, ImageUrlsShape, Job, Jobs, JobWish, Outcome, Submit } from './jobs';

/** How to start an emulator. */
export interface EmulatorOptions {
	/** Port of the API; 0 (default): any free one. */
	port?: number;
	/** Port of the second origin that serves the results; 0 (default): any free one. */
	cdnPort?: number;
	/** Keys that work; default `test-key`. */
	apiKeys?: readonly string[];
	/** Keys that are valid, but whose account is gone; default `orphan-key`. */
	orphanedKeys?: readonly string[];
	/** From a job's creation until its outcome shows; default 3000. */
	jobDurationMs?: number;
	/** How many images a job of generate/image gives; default 1. The other endpoints have their own results. */
	imagesPerJob?: number;
	/** What a submit's job shall be like, where it differs from the usual one. */
	wish?: (form: ReceivedForm, endpoint: string) => JobWish | undefined;
	/** The clock of the jobs and of the log, in milliseconds; default `Date.now`. */
	now?: () => number;
	/** Whether results are drawn (default). If not, they are tiny, valid, and different. */
	pictures?: boolean;
	/** Takes the place of listening on a loopback port, and gives the server's URL. */
	listen?: (server: Server) => string;
	/** Called when a request has been answered, or its connection lost. */
	onRequest?: (request: RequestRecord) => void;
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
	/** May be changed while it runs. */
	readonly apiKeys: Set<string>;
	/** May be changed while it runs. */
	readonly orphanedKeys: Set<string>;
	/** Ends both servers at once, stalled connections included. */
	close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';
const JOB_PATH = /^\/public\/v1\/job\/([^/]+)$/;
const RESULT_PATH = /^\/results\/([^/]+)\/(\d+)\.(png|gif)$/;
/** FastAPI takes a UUID with dashes, without, in braces or as an urn. */
const UUID =
	/^(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i;
const MAX_REFERENCE_COPY_BYTES = 4 * 1024 * 1024;
/** All copies together; once it is used up, pictures are drawn without thumbnails. */
const MAX_COPIES_BYTES = 128 * 1024 * 1024;

/** Starts an emulator of the API on two free loopback ports. */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
	const now = options.now ?? (() => Date.now());
	const jobs = new Jobs(now, {
		durationMs: options.jobDurationMs ?? 3000,
		imagesPerJob: options.imagesPerJob ?? 1,
	});
	const faults = new Faults();
	const requests: RequestRecord[] = [];
	const submits: Submit[] = [];
	const apiKeys = new Set(options.apiKeys ?? ['test-key']);
	const orphanedKeys = new Set(options.orphanedKeys ?? ['orphan-key']);
	const drawsPictures = options.pictures ?? true;
	const pictureOf = pictureSource(drawsPictures);
	let copiesBytes = 0;
	let cdnUrl = '';

	function keyRefusal(request: IncomingMessage): Refusal | undefined {
		const key = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
		if (orphanedKeys.has(key)) return { status: 404, detail: 'Not Found User' };
		return apiKeys.has(key) ? undefined : { status: 401, detail: 'Invalid API key' };
	}

	function accept(endpoint: Endpoint, { form, copies }: ReadForm): Job {
		const { text, effects } = readPromptTags(endpoint.promptOf(form.fields));
		const wish = options.wish?.(form, endpoint.path) ?? {};
		const slowness = effects.reduce((factor, effect) => factor * (effect.slowness ?? 1), 1);
		const outcome: Partial<Outcome> = endpoint.results ? { images: endpoint.results } : {};
		for (const { outcome: asked } of [...effects, wish]) Object.assign(outcome, asked);
		const job = jobs.add({
			...wish,
			outcome,
			durationMs: wish.durationMs ?? (options.jobDurationMs ?? 3000) * slowness,
			subject: {
				prompt: text,
				model: form.fields.ai_model ?? '',
				references: copies,
				artwork: endpoint.artworkOf(form.fields),
				...wish.subject,
			},
		});
		submits.push({
			jobId: job.id,
			endpoint: endpoint.path,
			fields: form.fields,
			files: form.files,
			acceptedAtMs: now(),
		});
		return job;
	}

	async function answerSubmit(exchange: Exchange, endpoint: Endpoint): Promise<void> {
		const { request, record } = exchange;
		const early = faults.take('submit', record, 'uploading');
		if (early) {
			await strikeWith(early, exchange, () => json(200, {}));
			return;
		}
		let read: ReadForm;
		try {
			read = await readForm(
				request,
				drawsPictures && copiesBytes < MAX_COPIES_BYTES ? MAX_REFERENCE_COPY_BYTES : 0,
			);
		} catch (error) {
			if (!(error instanceof MalformedForm)) throw error;
			send(exchange.response, refused({ status: 400, detail: error.message }));
			return;
		}
		record.form = read.form;
		copiesBytes += read.copies.reduce((sum, copy) => sum + copy.content.length, 0);
		const work = (): Answer => {
			const refusal = keyRefusal(request) ?? refusalOf(endpoint, read.form);
			if (refusal) return refused(refusal);
			const job = accept(endpoint, read);
			record.jobId = job.id;
			return json(200, { job_id: job.id });
		};
		await answerOrStrike('submit', exchange, work);
	}

	async function answerPoll(exchange: Exchange, givenId: string): Promise<void> {
		const uuid = UUID.exec(decoded(givenId))?.slice(1).join('-').toLowerCase();
		exchange.record.jobId = uuid ?? givenId;
		await answerOrStrike('poll', exchange, () => {
			const refusal = keyRefusal(exchange.request) ?? (uuid ? undefined : notUuid(givenId));
			if (refusal) return refused(refusal);
			const job = uuid === undefined ? undefined : jobs.find(uuid);
			// The document has no text for an unknown job, only the status.
			if (!job) return refused({ status: 404, detail: 'Job not found' });
			return json(200, jobs.answerOf(job, cdnUrl));
		});
	}

	async function answerApi(exchange: Exchange): Promise<void> {
		const { request, response, path } = exchange;
		const endpoint = ENDPOINTS.find((candidate) => candidate.path === path);
		const jobId = JOB_PATH.exec(path)?.[1];
		const method = endpoint ? 'POST' : 'GET';
		if (endpoint && request.method === method) {
			await answerSubmit(exchange, endpoint);
		} else if (jobId !== undefined && request.method === method) {
			await answerPoll(exchange, jobId);
		} else if (endpoint || jobId !== undefined) {
			const answer = refused({ status: 405, detail: 'Method Not Allowed' });
			send(response, { ...answer, headers: { ...answer.headers, allow: method } });
		} else {
			send(response, refused({ status: 404, detail: 'Not Found' }));
		}
	}

	async function answerCdn(exchange: Exchange): Promise<void> {
		const { request, response, record, path } = exchange;
		// A key must never come here, so not even a fault may hide that it did.
		if (request.headers.authorization !== undefined) {
			const message =
				'This origin takes no Authorization header: the API key must never be sent to it.';
			send(response, json(400, { error: message }));
			return;
		}
		const [, jobId = '', number = '', format = ''] = RESULT_PATH.exec(path) ?? [];
		const job = jobs.find(jobId);
		const isKnown = job?.outcome.images[Number(number) - 1] === format;
		if (job) record.jobId = job.id;
		if (request.method !== 'GET' || !isKnown) {
			send(response, json(request.method === 'GET' ? 404 : 405, { error: 'No such result' }));
			return;
		}
		await answerOrStrike('download', exchange, async () => ({
			status: 200,
			headers: { 'content-type': `image/${format}` },
			body: await pictureOf(job, Number(number)),
		}));
	}

	async function answerOrStrike(
		place: FaultPlace,
		exchange: Exchange,
		work: () => Answer | Promise<Answer>,
	): Promise<void> {
		const fault = faults.take(place, exchange.record);
		if (fault) await strikeWith(fault, exchange, work);
		else send(exchange.response, await work());
	}

	async function strikeWith(
		fault: Fault,
		{ request, response }: Exchange,
		work: () => Answer | Promise<Answer>,
	): Promise<void> {
		const answer = strikesAfterWork(fault) ? await work() : json(200, {});
		await strike(fault, request, response, answer, now());
	}

	function serve(server: 'api' | 'cdn', answer: (exchange: Exchange) => Promise<void>): Server {
		return createServer((request, response) => {
			const target = request.url ?? '/';
			const record: RequestRecord = {
				server,
				method: request.method ?? '',
				path: target,
				headers: request.headers,
				startedAtMs: now(),
			};
			requests.push(record);
			response.once('close', () => {
				record.endedAtMs = now();
				if (response.headersSent) record.status = response.statusCode;
				options.onRequest?.(record);
			});
			const path = target.split('?', 1)[0] ?? target;
			answer({ request, response, record, path }).catch((error: unknown) => {
				if (error instanceof ClientGone) return;
				if (!response.headersSent) send(response, json(500, { detail: String(error) }));
				else request.socket.destroy();
			});
		});
	}

	const api = serve('api', answerApi);
	const cdn = serve('cdn', answerCdn);
	const listening = async (server: Server, port = 0) =>
		options.listen?.(server) ?? (await listen(server, port));
	const apiUrl = await listening(api, options.port);
	try {
		cdnUrl = await listening(cdn, options.cdnPort);
	} catch (error) {
		await shut(api);
		throw error;
	}
	return {
		apiUrl,
		cdnUrl,
		requests,
		submits,
		jobs,
		faults,
		apiKeys,
		orphanedKeys,
		close: async () => {
			await Promise.all([shut(api), shut(cdn)]);
		},
	};
}

interface Exchange {
	request: IncomingMessage;
	response: ServerResponse;
	record: RequestRecord;
	/** Without the query. */
	path: string;
}

function json(status: number, body: Readonly<Record<string, unknown>>): Answer {
	return {
		status,
		headers: { 'content-type': 'application/json' },
		body: Buffer.from(JSON.stringify(body)),
	};
}

function refused({ status, detail }: Refusal): Answer {
	return json(status, { detail });
}

function notUuid(input: string): Refusal {
	const msg = 'Input should be a valid UUID';
	return {
		status: 422,
		detail: [{ type: 'uuid_parsing', loc: ['path', 'job_id'], msg, input: decoded(input) }],
	};
}

function decoded(segment: string): string {
	try {
		return decodeURIComponent(segment);
	} catch {
		return segment;
	}
}

async function listen(server: Server, port: number): Promise<string> {
	// Idle connections stay open for long: a client that reuses one must not meet its end by chance.
	server.keepAliveTimeout = 120_000;
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.listen({ port, host: LOOPBACK, backlog: 4096 }, resolve);
	});
	return `http://${LOOPBACK}:${portOf(server.address())}`;
}

function portOf(address: AddressInfo | string | null): number {
	if (address === null || typeof address === 'string') throw new Error('The server has no port');
	return address.port;
}

async function shut(server: Server): Promise<void> {
	await new Promise<void>((resolve) => {
		server.close(() => {
			resolve();
		});
		server.closeAllConnections();
	});
}
