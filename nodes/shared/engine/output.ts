import type { IBinaryData, IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { backOffMs, type Api, type ByteStream, type Job } from '../api/api';
import type { Clock } from '../clock';
import { Gate } from '../concurrency';
import { Failure, toErrorItem } from '../failure';
import { job as sentences, trouble } from '../messages';
import { IMAGE_SIGNATURE_BYTES, imageTypeOf } from './fileType';
import type { Watched } from './poll';
import type { Settings } from './settings';

/** Downloads under way at one time in one node. */
const CONCURRENT_DOWNLOADS = 6;
const DOWNLOAD_TRIES = 5;
/** Within this time of the first try another one may begin: a CDN may lag behind its job. */
const DOWNLOAD_BUDGET_MS = 30_000;
/** A transfer in which nothing comes for two such spells in a row has stalled. */
const IDLE_SPELL_MS = 5000;
/** Ten minutes: the most that one transfer may take, however steadily it drips. */
const LONGEST_TRANSFER_SPELLS = 120;
/** No image comes near it; a server that sends without end must not fill the disk. */
const LARGEST_FILE_BYTES = 256 * 1_048_576;

/** Turns finished jobs into output items, with their images in n8n's binary storage. */
export class Collector {
	readonly #context: IExecuteFunctions;
	readonly #api: Api;
	readonly #clock: Clock;
	readonly #downloads = new Gate(CONCURRENT_DOWNLOADS);

	constructor(context: IExecuteFunctions, api: Api, clock: Clock) {
		this.#context = context;
		this.#api = api;
		this.#clock = clock;
	}

	/**
	 * The output items of one job (contract.md, Output).
	 *
	 * @param echo what the items repeat of the request, by the API's names
	 * @throws Failure for a job that counts as failed, and for an image that cannot be had unless the
	 *   node continues on error: then that image is an error item between the others
	 */
	async collect(
		watched: Watched,
		settings: Settings,
		itemIndex: number,
		signal: AbortSignal,
		echo: IDataObject = {},
	): Promise<INodeExecutionData[]> {
		const { job } = watched;
		const pairedItem = { item: itemIndex };
		const start = { job_id: job.jobId, status: job.status };
		if (job.status === 'Succeed') {
			return settings.outputItems === 'perJob'
				? [await this.#jobItem(job, settings, itemIndex, signal, echo)]
				: await this.#imageItems(job, settings, itemIndex, signal, echo);
		}
		if (job.status === 'Failed') {
			if (settings.onFailed === 'error') throw sentences.failed(job.jobId, job.errorMessage);
			const reason = job.errorMessage === undefined ? {} : { error_message: job.errorMessage };
			return [{ json: { ...start, image_urls: [], ...reason, ...echo }, pairedItem }];
		}
		if (!watched.timedOut) return [{ json: { ...start, image_urls: [], ...echo }, pairedItem }];
		if (settings.onTimeout === 'error') {
			throw sentences.timedOut(job.jobId, job.status, watched.waitedMs, watched.trouble);
		}
		const late = { timed_out: true, waited_seconds: Math.round(watched.waitedMs / 1000) };
		return [{ json: { ...start, image_urls: [], ...late, ...echo }, pairedItem }];
	}

	async #jobItem(
		job: Job,
		settings: Settings,
		itemIndex: number,
		signal: AbortSignal,
		echo: IDataObject,
	): Promise<INodeExecutionData> {
		const files = settings.downloads
			? await Promise.all(
					job.imageUrls.map((url, index) => this.#download(job, url, index + 1, signal)),
				)
			: [];
		const binary: Record<string, IBinaryData> = {};
		files.forEach((file, index) => {
			if (file instanceof Failure) throw file.with({ imageUrls: job.imageUrls });
			binary[index === 0 ? settings.outputField : `${settings.outputField}_${index}`] = file;
		});
		return {
			json: { job_id: job.jobId, status: job.status, image_urls: [...job.imageUrls], ...echo },
			...(files.length === 0 ? {} : { binary }),
			pairedItem: { item: itemIndex },
		};
	}

	async #imageItems(
		job: Job,
		settings: Settings,
		itemIndex: number,
		signal: AbortSignal,
		echo: IDataObject,
	): Promise<INodeExecutionData[]> {
		const pairedItem = { item: itemIndex };
		const start = { job_id: job.jobId, status: job.status };
		if (job.imageUrls.length === 0) {
			return [{ json: { ...start, image_count: 0, ...echo }, pairedItem }];
		}
		const continues = this.#context.continueOnFail();
		const itemCount = this.#context.getInputData().length;
		const files = await Promise.all(
			job.imageUrls.map(async (url, index) =>
				settings.downloads ? await this.#download(job, url, index + 1, signal) : undefined,
			),
		);
		return files.map((file, index) => {
			if (file instanceof Failure) {
				if (!continues) throw file.with({ imageUrls: job.imageUrls });
				return toErrorItem(file, itemIndex, itemCount);
			}
			return {
				json: {
					...start,
					image_url: job.imageUrls[index],
					image_number: index + 1,
					image_count: job.imageUrls.length,
					...echo,
				},
				...(file === undefined ? {} : { binary: { [settings.outputField]: file } }),
				pairedItem,
			};
		});
	}

	/** Fetches one image into n8n's storage, again if need be; gives the failure rather than throw it. */
	async #download(
		job: Job,
		url: string,
		number: number,
		itemSignal: AbortSignal,
	): Promise<IBinaryData | Failure> {
		const signal = AbortSignal.any([itemSignal]);
		return await this.#downloads.pass(async () => {
			const startedAt = this.#clock.now();
			for (let attempt = 0; ; attempt++) {
				const outcome = await this.#transfer(url, `${job.jobId}-${number}`, signal);
				if ('file' in outcome) return outcome.file;
				const pauseMs = Math.max(backOffMs(attempt), outcome.retryAfterMs ?? 0);
				const mayRetry =
					outcome.mayPass &&
					attempt + 1 < DOWNLOAD_TRIES &&
					this.#clock.now() + pauseMs - startedAt <= DOWNLOAD_BUDGET_MS;
				if (!mayRetry || signal.aborted) {
					return sentences.downloadImpossible(job.jobId, [url], outcome.reason);
				}
				await this.#clock.pause(pauseMs, signal);
			}
		});
	}

	async #transfer(
		url: string,
		name: string,
		signal: AbortSignal,
	): Promise<{ file: IBinaryData } | { reason: string; mayPass: boolean; retryAfterMs?: number }> {
		const progress = new Progress(this.#clock);
		try {
			const fetched = await this.#api.fetchResult(url, AbortSignal.any([signal, progress.signal]));
			if (fetched.kind === 'trouble') return fetched;
			progress.watch();
			const { head, content } = await peek(fetched.stream);
			const type = imageTypeOf(head);
			if (type === undefined) {
				fetched.stream.destroy();
				return { reason: trouble.notAnImage(fetched.contentType), mayPass: true };
			}
			progress.follow(fetched.stream);
			const file = await this.#context.helpers.prepareBinaryData(
				content,
				`${name}.${type.extension}`,
				type.mimeType,
			);
			return { file };
		} catch (error) {
			const reason = error instanceof Error ? error.message : String(error);
			return {
				reason: progress.endedFor ?? trouble.answerCutOff(reason),
				mayPass: !progress.isTooLarge,
			};
		} finally {
			progress.done();
		}
	}
}

/** Ends a transfer that has stalled or does not end: n8n's HTTP layer watches only until it begins. */
class Progress {
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
			if (this.isTooLarge) this.#end(trouble.fileTooLarge(LARGEST_FILE_BYTES));
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
			await this.#clock.pause(IDLE_SPELL_MS, this.#done.signal);
			if (this.#done.signal.aborted) return;
			idleSpells = this.#bytes > before ? 0 : idleSpells + 1;
		}
		this.#end(trouble.stalled());
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
			if (head.length < IMAGE_SIGNATURE_BYTES) return;
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
