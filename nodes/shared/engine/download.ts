import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import type { Api, ByteStream } from '../api/api';
import { retry, type Attempt } from '../api/retry';
import type { Clock } from '../clock';
import { Semaphore } from '../concurrency';
import { reasons } from '../messages';
import { RESULT_HEAD_BYTES, resultTypeOf } from './fileType';

/** Downloads under way at once in one node. */
const CONCURRENT_DOWNLOADS = 6;
/** Within this time of the first try another one may begin: a CDN may lag behind its job. */
const LIMITS = { tries: 5, budgetMs: 30_000 };
/** A transfer in which nothing comes for two such spells in a row has stalled. */
const IDLE_SPELL_MS = 5000;
/** Ten minutes: the most that one transfer may take, however steadily it drips. */
const LONGEST_TRANSFER_SPELLS = 120;
/** No image comes near it; a server that sends without end must not fill the disk. */
const LARGEST_FILE_BYTES = 256 * 1_048_576;

/** A result in n8n's binary storage, or why it could not be had. */
export type Download = { file: IBinaryData } | { reason: string };

/** Fetches the results of a node's jobs into n8n's binary storage. */
export class Downloader {
	readonly #context: IExecuteFunctions;
	readonly #api: Api;
	readonly #clock: Clock;
	readonly #places = new Semaphore(CONCURRENT_DOWNLOADS);

	constructor(context: IExecuteFunctions, api: Api, clock: Clock) {
		this.#context = context;
		this.#api = api;
		this.#clock = clock;
	}

	/**
	 * Fetches one file, again if need be.
	 * @param name the file's name without extension
	 * @returns the file, or the reason why it cannot be had: it does not throw
	 */
	async download(url: string, name: string, signal: AbortSignal): Promise<Download> {
		// A signal of its own for each: Node.js warns of a leak when many listen to one.
		const own = AbortSignal.any([signal]);
		return await this.#places.run(
			async () =>
				await retry(this.#clock, LIMITS, own, async () => await this.#transfer(url, name, own)),
		);
	}

	async #transfer(url: string, name: string, signal: AbortSignal): Promise<Attempt<Download>> {
		const watchdog = new TransferWatchdog(this.#clock);
		try {
			const fetched = await this.#api.fetchResult(url, AbortSignal.any([signal, watchdog.signal]));
			if (fetched.kind === 'failed') {
				const { reason, isRetryable, retryAfterMs } = fetched;
				if (!isRetryable) return { value: { reason } };
				return { valueIfLast: { reason }, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
			}
			watchdog.watch();
			const { head, content } = await peek(fetched.stream);
			const type = resultTypeOf(head, fetched.contentType, url);
			if (type === undefined) {
				fetched.stream.destroy();
				return { valueIfLast: { reason: reasons.errorPage(fetched.contentType) } };
			}
			if (head.length === 0) return { valueIfLast: { reason: reasons.emptyFile() } };
			watchdog.follow(fetched.stream);
			const file = await this.#context.helpers.prepareBinaryData(
				content,
				`${name}.${type.extension}`,
				type.mimeType,
			);
			return { value: { file } };
		} catch (error) {
			const message = error instanceof Error ? error.message : String(error);
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

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Aborts when the transfer has to end. */
	get signal(): AbortSignal {
		return this.#abort.signal;
	}

	get isTooLarge(): boolean {
		return this.#bytes > LARGEST_FILE_BYTES;
	}

	/** From now on something has to come. */
	watch(): void {
		void this.#watchIdleness();
	}

	/** Counts what n8n takes of the stream, once it does: a listener for data starts the flow. */
	follow(stream: ByteStream): void {
		const count = (chunk: Buffer) => {
			this.#bytes += chunk.length;
			if (this.isTooLarge) this.#end(reasons.fileTooLarge(LARGEST_FILE_BYTES));
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
		for (let spells = 0; idleSpells < 2 && spells < LONGEST_TRANSFER_SPELLS; spells++) {
			const before = this.#bytes;
			await this.#clock.sleep(IDLE_SPELL_MS, this.#done.signal);
			if (this.#done.signal.aborted) return;
			idleSpells = this.#bytes > before ? 0 : idleSpells + 1;
		}
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
