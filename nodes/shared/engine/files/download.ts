import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { fetchFile, type ByteStream } from '../../api/fetchFile';
import { retry, type Attempt, type RetryLimits } from '../../api/retry';
import { ownSignal, type Clock } from '../../clock';
import { Semaphore } from '../../concurrency';
import { reasons } from '../../messages';
import { imageTypeOf, isWebPage, RESULT_HEAD_BYTES, resultTypeOf, type FileType } from './fileType';
import { imageFactsOf, type ImageFacts } from './imageSize';

/** What files are fetched for, and so what is allowed and expected of them. */
export interface TransferRules {
	/** Transfers in progress at once in one node. */
	concurrency: number;
	/** Within this time of the first try another one may begin. */
	retries: RetryLimits;
	/** How long a host may take to begin its answer. */
	answerWithinMs: number;
	/** The most that one transfer may take from its request on, however steadily it drips. */
	longestMs: number;
	largestBytes: number;
	/** The type of a file by its start, or why it is not what it should be. */
	typeOf: (head: Uint8Array, contentType: string, url: string) => FileType | { reason: string };
}

/** For the results of jobs. A CDN may lag behind its job; no image comes near the largest size. */
export const RESULTS: TransferRules = {
	concurrency: 6,
	// What a CDN asks to wait is waited for: the job has been charged.
	retries: { tries: 5, budgetMs: 180_000 },
	answerWithinMs: 60_000,
	longestMs: 600_000,
	largestBytes: 256 * 1_048_576,
	typeOf: (head, contentType, url) =>
		resultTypeOf(head, contentType, url) ?? { reason: reasons.errorPage(contentType) },
};

/**
 * For images that users name by their URLs: only an image is worth sending on. Some hosts make the
 * picture when they are asked for it, and have all the time of the transfer to begin their answer.
 */
export const INPUTS: TransferRules = {
	concurrency: 4,
	retries: { tries: 3, budgetMs: 30_000 },
	answerWithinMs: 60_000,
	longestMs: 60_000,
	largestBytes: 50 * 1_048_576,
	typeOf: (head, contentType) =>
		imageTypeOf(head) ?? {
			reason: isWebPage(head, contentType) ? reasons.errorPage(contentType) : reasons.notAnImage(),
		},
};

/** A transfer in which nothing comes for two such spells in a row has stalled. */
const IDLE_SPELL_MS = 5000;

/** What n8n and Node.js say where a file cannot be stored: it is too large for n8n's database, the disk is full. */
const NOT_SAVED = /^Failed to write binary file\b|\b(ENOSPC|EDQUOT|EROFS|EACCES|EFBIG)\b/;

/** A file in n8n's binary storage and what it says of itself, or why there is none. */
export type Download = { file: IBinaryData; facts: ImageFacts } | { reason: string };

/** Fetches files into n8n's binary storage. */
export class Downloader {
	readonly #context: IExecuteFunctions;
	readonly #clock: Clock;
	readonly #rules: TransferRules;
	readonly #places: Semaphore;

	constructor(context: IExecuteFunctions, clock: Clock, rules: TransferRules) {
		this.#context = context;
		this.#clock = clock;
		this.#rules = rules;
		this.#places = new Semaphore(rules.concurrency);
	}

	/**
	 * Fetches one file, again if need be.
	 * @param name the file's name without extension
	 * @returns the file, or the reason why there is none: it does not throw
	 */
	async download(url: string, name: string, signal: AbortSignal): Promise<Download> {
		const own = ownSignal(signal);
		return await this.#places.run(
			async () =>
				await retry(
					this.#clock,
					this.#rules.retries,
					own,
					async () => await this.#transfer(url, name, own),
				),
		);
	}

	async #transfer(url: string, name: string, signal: AbortSignal): Promise<Attempt<Download>> {
		const watchdog = new TransferWatchdog(this.#clock, this.#rules);
		try {
			const either = AbortSignal.any([signal, watchdog.signal]);
			const { answerWithinMs } = this.#rules;
			const fetched = await fetchFile(this.#context, url, answerWithinMs, either);
			if (fetched.kind === 'failed') {
				const { reason, isRetryable, retryAfterMs } = fetched;
				if (!isRetryable) return { value: { reason } };
				return { valueIfLast: { reason }, retryAfterMs };
			}
			const { stream, contentType, bytes = 0 } = fetched;
			if (bytes > this.#rules.largestBytes) {
				stream.destroy();
				return { value: { reason: reasons.fileTooLarge(this.#rules.largestBytes) } };
			}
			watchdog.watch();
			const { head, content } = await peek(stream);
			if (head.length === 0) return { valueIfLast: { reason: reasons.emptyFile() } };
			const type = this.#rules.typeOf(head, contentType, url);
			if ('reason' in type) {
				stream.destroy();
				return { valueIfLast: type };
			}
			watchdog.follow(stream);
			const file = await this.#context.helpers.prepareBinaryData(
				content,
				`${name}.${type.extension}`,
				type.mimeType,
			);
			return { value: { file, facts: imageFactsOf(head) } };
		} catch (error) {
			const message = error instanceof Error ? error.message : String(error);
			if (NOT_SAVED.test(message)) return { value: { reason: reasons.notSaved(message) } };
			const reason = watchdog.endedFor ?? reasons.answerCutOff(message);
			return watchdog.isTooLarge ? { value: { reason } } : { valueIfLast: { reason } };
		} finally {
			watchdog.done();
		}
	}
}

/** Ends a transfer that has stalled or does not end: n8n's HTTP layer watches only until it begins. */
class TransferWatchdog {
	readonly #clock: Clock;
	readonly #abort = new AbortController();
	readonly #done = new AbortController();
	#bytes = 0;
	/** Why the transfer was ended. */
	endedFor: string | undefined;

	readonly #rules: TransferRules;
	readonly #startedAtMs: number;

	constructor(clock: Clock, rules: TransferRules) {
		this.#clock = clock;
		this.#rules = rules;
		this.#startedAtMs = clock.now();
	}

	/** Aborts when the transfer has to end. */
	get signal(): AbortSignal {
		return this.#abort.signal;
	}

	get isTooLarge(): boolean {
		return this.#bytes > this.#rules.largestBytes;
	}

	/** From now on something has to come. */
	watch(): void {
		void this.#watchIdleness();
	}

	/** Counts what n8n takes of the stream, once it does: a listener for data starts the flow. */
	follow(stream: ByteStream): void {
		const count = (chunk: Buffer) => {
			this.#bytes += chunk.length;
			if (this.isTooLarge) this.#end(reasons.fileTooLarge(this.#rules.largestBytes));
		};
		stream.on('newListener', function onConsumer(event) {
			if (event !== 'data' && event !== 'readable') return;
			stream.off('newListener', onConsumer);
			stream.on('data', count);
		});
	}

	done(): void {
		this.#done.abort('done');
	}

	async #watchIdleness(): Promise<void> {
		let idleSpells = 0;
		const endsAtMs = this.#startedAtMs + this.#rules.longestMs;
		do {
			const before = this.#bytes;
			await this.#clock.sleep(IDLE_SPELL_MS, this.#done.signal);
			if (this.#done.signal.aborted) return;
			idleSpells = this.#bytes > before ? 0 : idleSpells + 1;
		} while (idleSpells < 2 && this.#clock.now() < endsAtMs);
		this.#end(reasons.stalled());
	}

	#end(reason: string): void {
		this.endedFor ??= reason;
		this.#abort.abort();
	}
}

/**
 * Looks at a stream's first bytes and puts them back.
 * @returns `content` is the stream, or the bytes themselves where they are all there is
 */
async function peek(stream: ByteStream): Promise<{ head: Buffer; content: ByteStream | Buffer }> {
	return await new Promise((resolve, reject) => {
		const chunks: Buffer[] = [];
		const stop = () => {
			stream.off('readable', onReadable);
			stream.off('end', onEnd);
			stream.off('error', onError);
			stream.off('close', onClose);
		};
		const onReadable = () => {
			for (let chunk = read(stream); chunk !== null; chunk = read(stream)) chunks.push(chunk);
			const head = Buffer.concat(chunks);
			if (head.length < RESULT_HEAD_BYTES) return;
			stop();
			stream.unshift(head);
			resolve({ head, content: stream });
		};
		const onEnd = () => {
			stop();
			const head = Buffer.concat(chunks);
			resolve({ head, content: head });
		};
		const onError = (error: Error) => {
			stop();
			reject(error);
		};
		const onClose = () => {
			stop();
			reject(new Error('closed before its end'));
		};
		stream.on('readable', onReadable);
		stream.on('end', onEnd);
		stream.on('error', onError);
		stream.on('close', onClose);
	});
}

function read(stream: ByteStream): Buffer | null {
	return stream.read() as Buffer | null;
}
