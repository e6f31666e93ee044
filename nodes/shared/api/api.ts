import type { IDataObject, IExecuteFunctions, IHttpRequestOptions } from 'n8n-workflow';

import { checkBaseUrl } from './baseUrl';
import type { Clock } from '../clock';
import type { JobRequest, RequestFile } from '../endpoint';
import type { Failure } from '../failure';
import { api as sentences, refused, run, trouble } from '../messages';

/** The credential's type name (contract.md). */
export const CREDENTIAL = 'aetherForgeApi';

/** A job as the API describes it (GET /public/v1/job/{job_id}). */
export interface Job {
	jobId: string;
	/** `Pending`, `Succeed`, `Failed`, or whatever else the API says one day. */
	status: string;
	imageUrls: readonly string[];
	/** Why a failed job failed; not documented, seen by one public client. */
	errorMessage?: string;
}

/** What one look-up brought. Trouble passes; what cannot get better is thrown as a {@link Failure}. */
export type LookUp =
	| { kind: 'job'; job: Job }
	/** The API does not know the job (404). */
	| { kind: 'unknown'; detail: string }
	| {
			kind: 'trouble';
			reason: string;
			/** Whether the API asks to look less often (429). */
			tooMany: boolean;
			retryAfterMs?: number;
	  };

/** A stream as n8n's helpers take and give it; `stream` itself may not be imported on n8n Cloud. */
export type ByteStream = Awaited<ReturnType<IExecuteFunctions['helpers']['getBinaryStream']>>;

/** What an attempt to fetch a result came to. */
export type Fetched =
	| { kind: 'stream'; stream: ByteStream; contentType: string }
	| { kind: 'trouble'; reason: string; mayPass: boolean; retryAfterMs?: number };

/** Time limits of single requests. Uploads get more, by their size. */
const ANSWER_LIMIT_MS = 30_000;
const SUBMIT_ANSWER_LIMIT_MS = 60_000;
const UPLOAD_BYTES_PER_SECOND = 100_000;
/** No answer of this API comes near it; more is a server gone wild, and not worth n8n's memory. */
const ANSWER_LIMIT_BYTES = 1_048_576;
/** All tries of one submit together (contract.md). */
const SUBMIT_BUDGET_MS = 60_000;
const SUBMIT_TRIES = 5;
const DOWNLOAD_ANSWER_LIMIT_MS = 10_000;
const DOWNLOAD_REDIRECTS = 5;

/**
 * Node's codes for a connection that never stood, so that nothing can have been accepted: refused, no
 * such host, or a certificate that is not trusted. Other TLS codes also come in mid-connection.
 * @see https://nodejs.org/api/errors.html#common-system-errors
 */
const NEVER_CONNECTED =
	/^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|CERT_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|ERR_TLS_CERT_ALTNAME_INVALID)$/;

/** A file part that opens its bytes only when they are sent. */
class StreamedFile extends File {
	/** n8n's HTTP layer makes the Content-Length of it; a wrong number would garble the request. */
	override readonly size: number;

	readonly #file: RequestFile;

	constructor(file: RequestFile) {
		super([], file.fileName, { type: file.mimeType });
		this.size = file.bytes;
		this.#file = file;
	}

	override stream(): ReturnType<File['stream']> {
		return ReadableStream.from(openLazily(this.#file)) as ReturnType<File['stream']>;
	}
}

async function* openLazily(file: RequestFile): AsyncGenerator<Uint8Array> {
	yield* await file.open();
}

/** What n8n's helpers answer to `encoding: 'stream'` with `returnFullResponse`. */
interface FullAnswer {
	statusCode: number;
	headers: IDataObject;
	body: ByteStream;
}

interface Answer {
	status: number;
	headers: IDataObject;
	/** The body as text, at most {@link ANSWER_LIMIT_BYTES}. */
	text: string;
}

/** A request that brought no usable answer. */
class ConnectionTrouble {
	constructor(
		readonly reason: string,
		/** Whether the server cannot have seen the request. */
		readonly neverConnected: boolean,
	) {}
}

/** The code of a connection that failed, wherever the n8n version and its HTTP library put it. */
function codeOf(error: unknown): string {
	for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
		const { httpCode, code } = at as { httpCode?: unknown; code?: unknown };
		if (typeof httpCode === 'string' && httpCode !== '') return httpCode;
		if (typeof code === 'string' && code !== '') return code;
	}
	return 'unknown';
}

function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

/** The start of a body that is not what was asked for, as one line. */
function excerptOf(text: string): string {
	const title = /<title[^>]*>([^<]*)<\/title>/i.exec(text)?.[1];
	const plain = (title ?? text.replace(/<[^>]*>/g, ' ')).replace(/\s+/g, ' ').trim();
	return plain === '' ? 'an empty answer' : plain.slice(0, 200);
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text) as unknown;
	} catch {
		return undefined;
	}
}

/**
 * The API's own words: `detail` is a text, or FastAPI's list of what is wrong with which field
 * (422), which becomes "prompt: Field required; ai_model: …".
 */
function detailOf(text: string): string {
	const body = parse(text);
	const detail = isRecord(body) ? body.detail : undefined;
	if (typeof detail === 'string' && detail.trim() !== '') return detail.slice(0, 500);
	if (!Array.isArray(detail)) return excerptOf(text);
	return detail
		.map((entry: unknown) => {
			if (!isRecord(entry)) return String(entry);
			const place = Array.isArray(entry.loc)
				? entry.loc.filter((part) => part !== 'body' && part !== 'path').join('.')
				: '';
			return `${place === '' ? '' : `${place}: `}${String(entry.msg)}`;
		})
		.join('; ')
		.slice(0, 500);
}

/**
 * The time that `Retry-After` asks for, as a number of seconds or a date (RFC 9110, 10.2.3).
 * Anything else is as good as no header.
 */
export function retryAfterMs(header: unknown, now: number): number | undefined {
	if (typeof header !== 'string') return undefined;
	const value = header.trim();
	if (/^\d+$/.test(value)) return Number(value) * 1000;
	// Date.parse takes nearly any text with a digit in it; the header's dates start with a weekday.
	const date = /^[A-Z][a-z]+, /.test(value) ? Date.parse(value) : Number.NaN;
	return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Doubling from one second, with jitter so that many runs do not come back all at once. */
export function backOffMs(attempt: number, random: () => number = Math.random): number {
	return Math.min(16_000, 1000 * 2 ** attempt) * (0.5 + random() / 2);
}

/** An entry of `image_urls`: documented as a text; one public client has seen objects. */
function urlOf(entry: unknown): string[] {
	if (typeof entry === 'string') return entry === '' ? [] : [entry];
	if (!isRecord(entry)) return [];
	const url = [entry.url, entry.imageUrl, entry.contentUrl].find((at) => typeof at === 'string');
	return url === undefined ? [] : urlOf(url);
}

function jobFrom(body: unknown, jobId: string): Job | undefined {
	if (!isRecord(body) || typeof body.status !== 'string') return undefined;
	const urls: unknown = body.image_urls;
	return {
		jobId,
		status: body.status,
		imageUrls: Array.isArray(urls) ? urls.flatMap(urlOf) : [],
		...(typeof body.error_message === 'string' && body.error_message !== ''
			? { errorMessage: body.error_message.slice(0, 500) }
			: {}),
	};
}

function textOf(header: unknown): string {
	return typeof header === 'string' ? header : '';
}

/** What concerns the account and so every request alike. */
function accountFailure(status: number, detail: string): Failure | undefined {
	if (status === 401) return sentences.badKey(detail);
	if (status === 402) return sentences.outOfCredits(detail);
	if (status === 403) return sentences.forbidden(detail);
	// The API answers 404 for this too; only the text tells it from an unknown job.
	if (status === 404 && detail === 'Not Found User') return sentences.accountGone();
	return undefined;
}

/** The API takes multipart only, also without files (aetherforge-api.md). */
function multipart(request: JobRequest): FormData {
	const form = new FormData();
	for (const [name, value] of Object.entries(request.values)) form.append(name, value);
	// A third argument to append would make a plain, empty File of it.
	for (const file of request.files) form.append(file.apiName, new StreamedFile(file));
	return form;
}

/** @returns undefined when the body is larger than any answer of this API */
async function readText(body: ByteStream): Promise<string | undefined> {
	const chunks: Buffer[] = [];
	let bytes = 0;
	for await (const chunk of body as AsyncIterable<Buffer>) {
		bytes += chunk.length;
		if (bytes > ANSWER_LIMIT_BYTES) return undefined;
		chunks.push(chunk);
	}
	return Buffer.concat(chunks).toString('utf8');
}

/**
 * The only door to the network. Requests with the key go to the credential's base URL and are never
 * redirected; results are fetched without the key.
 */
export class Api {
	readonly #context: IExecuteFunctions;
	readonly #clock: Clock;
	readonly #baseUrl: URL;
	readonly #apiKey: string;

	private constructor(context: IExecuteFunctions, clock: Clock, baseUrl: URL, apiKey: string) {
		this.#context = context;
		this.#clock = clock;
		this.#baseUrl = baseUrl;
		this.#apiKey = apiKey;
	}

	/**
	 * Reads the node's credential. Nothing is sent.
	 * @throws Failure when there is no key, or it must not be sent to the credential's base URL
	 */
	static async connect(context: IExecuteFunctions, clock: Clock): Promise<Api> {
		const { baseUrl, apiKey } = await context.getCredentials<{ baseUrl: string; apiKey: string }>(
			CREDENTIAL,
		);
		const checked = checkBaseUrl(baseUrl);
		if ('reason' in checked) throw refused.baseUrl(baseUrl, checked.reason);
		const key = apiKey.trim();
		if (key === '') throw refused.noKey();
		return new Api(context, clock, checked.url, key);
	}

	/**
	 * Starts a paid job. It is sent again only when it cannot have been accepted: after 429, and when
	 * no connection came about.
	 *
	 * @returns the job's ID
	 * @throws Failure; with `outcomeUnknown` when a job may exist although no ID came back
	 */
	async submit(request: JobRequest, signal: AbortSignal): Promise<string> {
		const startedAt = this.#clock.now();
		const bytes = request.files.reduce((sum, file) => sum + file.bytes, 0);
		const limitMs = SUBMIT_ANSWER_LIMIT_MS + (bytes / UPLOAD_BYTES_PER_SECOND) * 1000;
		for (let attempt = 0; ; attempt++) {
			const outcome = await this.#send(
				{ method: 'POST', url: request.path, body: multipart(request) },
				limitMs,
			);
			const pauseMs = this.#retryAfter(outcome) ?? backOffMs(attempt);
			const waitedMs = this.#clock.now() - startedAt;
			const mayRetry = attempt + 1 < SUBMIT_TRIES && waitedMs + pauseMs <= SUBMIT_BUDGET_MS;
			if (outcome instanceof ConnectionTrouble) {
				if (!outcome.neverConnected) throw sentences.outcomeUnknown(outcome.reason, undefined);
				if (!mayRetry) throw sentences.unreachable(waitedMs, outcome.reason);
			} else if (outcome.status !== 429) {
				return this.#jobIdFrom(outcome);
			} else if (!mayRetry) {
				throw sentences.rateLimited(waitedMs, detailOf(outcome.text));
			}
			await this.#clock.pause(pauseMs, signal);
			if (signal.aborted) throw run.canceled();
		}
	}

	/**
	 * Looks a job up once.
	 * @throws Failure when looking again cannot help: the key, the account, the request itself
	 */
	async lookUp(jobId: string, limitMs: number): Promise<LookUp> {
		const outcome = await this.#send(
			{ method: 'GET', url: `/public/v1/job/${jobId}` },
			Math.min(limitMs, ANSWER_LIMIT_MS),
		);
		if (outcome instanceof ConnectionTrouble) {
			return { kind: 'trouble', reason: outcome.reason, tooMany: false };
		}
		const { status, text } = outcome;
		if (status === 200) {
			const job = jobFrom(parse(text), jobId);
			if (job) return { kind: 'job', job };
			return {
				kind: 'trouble',
				tooMany: false,
				reason:
					parse(text) === undefined
						? trouble.notJson(status, excerptOf(text))
						: trouble.noJob(status),
			};
		}
		const detail = detailOf(text);
		const account = accountFailure(status, detail);
		if (account) throw account.with({ jobId });
		// A proxy's 404 page says nothing about the job.
		if (status === 404 && isRecord(parse(text))) return { kind: 'unknown', detail };
		if (status >= 500 || status < 400 || [404, 408, 425, 429].includes(status)) {
			const waitMs = this.#retryAfter(outcome);
			return {
				kind: 'trouble',
				reason: trouble.status(status, detail),
				tooMany: status === 429,
				...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
			};
		}
		throw sentences.lookUpRejected(jobId, status, detail);
	}

	/**
	 * Opens a result, without the key. The caller reads the stream, or destroys it.
	 * @param signal ends the transfer as well, at any time
	 */
	async fetchResult(url: string, signal: AbortSignal): Promise<Fetched> {
		const protocol = URL.canParse(url) ? new URL(url).protocol : '';
		if (protocol !== 'https:' && protocol !== 'http:') {
			return { kind: 'trouble', reason: trouble.unusableUrl(), mayPass: false };
		}
		try {
			const answer = (await this.#context.helpers.httpRequest({
				method: 'GET',
				url,
				encoding: 'stream',
				returnFullResponse: true,
				ignoreHttpStatusErrors: true,
				maxRedirects: DOWNLOAD_REDIRECTS,
				timeout: DOWNLOAD_ANSWER_LIMIT_MS,
				abortSignal: signal,
			})) as FullAnswer;
			if (answer.statusCode === 200) {
				return {
					kind: 'stream',
					stream: answer.body,
					contentType: textOf(answer.headers['content-type']),
				};
			}
			answer.body.destroy();
			const again = retryAfterMs(answer.headers['retry-after'], this.#clock.now());
			return {
				kind: 'trouble',
				reason: `HTTP ${answer.statusCode}`,
				mayPass: [403, 404, 408, 429].includes(answer.statusCode) || answer.statusCode >= 500,
				...(again === undefined ? {} : { retryAfterMs: again }),
			};
		} catch (error) {
			return {
				kind: 'trouble',
				reason: trouble.connection(codeOf(error), messageOf(error)),
				mayPass: codeOf(error) !== 'ERR_FR_TOO_MANY_REDIRECTS',
			};
		}
	}

	/** One request with the key, within its own time limit. */
	async #send(
		options: Pick<IHttpRequestOptions, 'method' | 'url' | 'body'>,
		limitMs: number,
	): Promise<Answer | ConnectionTrouble> {
		const done = new AbortController();
		const late = this.#clock
			.pause(limitMs, done.signal)
			.then(() => new ConnectionTrouble(trouble.noAnswer(limitMs), false));
		try {
			return await Promise.race([this.#exchange(options, limitMs, done.signal), late]);
		} finally {
			// Without a reason it would make an error with a stack trace, each time.
			done.abort('done');
		}
	}

	async #exchange(
		options: Pick<IHttpRequestOptions, 'method' | 'url' | 'body'>,
		limitMs: number,
		done: AbortSignal,
	): Promise<Answer | ConnectionTrouble> {
		let answer: FullAnswer;
		try {
			answer = (await this.#context.helpers.httpRequestWithAuthentication.call(
				this.#context,
				CREDENTIAL,
				{
					...options,
					url: new URL(options.url.slice(1), this.#baseUrl).href,
					headers: { Accept: 'application/json' },
					encoding: 'stream',
					// With these two n8n does not throw on a status, and so never sends a request again by itself.
					returnFullResponse: true,
					ignoreHttpStatusErrors: true,
					// The key stays with its origin, and n8n's HTTP layer holds no copy of the upload.
					disableFollowRedirect: true,
					timeout: limitMs,
				},
			)) as FullAnswer;
		} catch (error) {
			const code = codeOf(error);
			return new ConnectionTrouble(
				this.#scrub(trouble.connection(code, messageOf(error))),
				NEVER_CONNECTED.test(code),
			);
		}
		const { statusCode: status, headers, body } = answer;
		const drop = () => {
			body.destroy();
		};
		if (done.aborted) drop();
		else done.addEventListener('abort', drop, { once: true });
		try {
			const text = await readText(body);
			return text === undefined
				? new ConnectionTrouble(trouble.answerTooLarge(ANSWER_LIMIT_BYTES), false)
				: { status, headers, text: this.#scrub(text) };
		} catch (error) {
			return new ConnectionTrouble(this.#scrub(trouble.answerCutOff(messageOf(error))), false);
		}
	}

	#jobIdFrom(answer: Answer): string {
		const { status, text } = answer;
		const detail = detailOf(answer.text);
		const account = accountFailure(status, detail);
		if (account) throw account;
		if (status === 408 || status >= 500) {
			throw sentences.outcomeUnknown(trouble.status(status, detail), status);
		}
		if (status === 404 || status === 405) throw sentences.wrongAddress(status, detail);
		if (status === 413) throw sentences.tooLarge(detail);
		if (status >= 400) throw sentences.rejected(status, detail);
		// 307 and 308 ask for the same request at another address; the others may come after a job was made.
		if (status >= 300) throw sentences.redirected(status, status < 304);
		const body = parse(text);
		const jobId = isRecord(body) ? body.job_id : undefined;
		// The ID becomes part of an address, so not every text will do.
		if (typeof jobId === 'string' && /^[\w-]{1,128}$/.test(jobId)) return jobId;
		throw sentences.outcomeUnknown(
			body === undefined ? trouble.notJson(status, excerptOf(text)) : trouble.noJobId(status),
			status,
		);
	}

	#retryAfter(outcome: Answer | ConnectionTrouble): number | undefined {
		return outcome instanceof ConnectionTrouble
			? undefined
			: retryAfterMs(outcome.headers['retry-after'], this.#clock.now());
	}

	/** Servers may repeat what they were sent, and what they say ends up in texts that people share. */
	#scrub(text: string): string {
		return text.replaceAll(this.#apiKey, '***');
	}
}
