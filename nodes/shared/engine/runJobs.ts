import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { Api } from '../api/api';
import { systemClock, type Clock } from '../clock';
import { Collector } from './output';
import { forEachIndex, Gate } from '../concurrency';
import type { Endpoint, JobRequest } from '../endpoint';
import { Failure, toErrorItem, toNodeError } from '../failure';
import { api as sentences, hints, logLines, refused, run } from '../messages';
import { CONCURRENT_LOOK_UPS, isFinished, LookUpPace, SINGLE_LOOK_BUDGET_MS, watch } from './poll';
import { Ledger } from './ledger';
import { jobProperties, lookUpProperties } from '../properties';
import { isTool, readSettings, readText } from './settings';
import { CheckedRequests, readRequest, readValues } from './request';

/** The API's job IDs are UUIDs; anything else gets a 422 (aetherforge-api.md). */
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Submits under way at one time, however many jobs may be unfinished. */
const CONCURRENT_SUBMITS = 20;

/**
 * The items of one execution of a node: their results in input order, what one failure means for the
 * others, and how it all ends.
 */
class Run {
	/** Ends waiting and requests: n8n's Stop and workflow timeout, or a failure that ends the run. */
	readonly #signal: AbortSignal;
	readonly itemCount: number;
	readonly #continues: boolean;
	/** The paid jobs of this run by item index, also those of an earlier try. */
	readonly jobIds = new Map<number, string>();
	/** Items for which it is not known whether a job was started. */
	readonly unclear = new Set<number>();

	readonly #context: IExecuteFunctions;
	readonly #cancel: AbortSignal | undefined;
	readonly #halt = new AbortController();
	readonly #submits = new Gate(CONCURRENT_SUBMITS);
	readonly #results: (INodeExecutionData[] | undefined)[];
	#ending: { failure: Failure; itemIndex: number } | undefined;
	#accountFailure: Failure | undefined;

	constructor(context: IExecuteFunctions) {
		this.#context = context;
		this.#cancel = context.getExecutionCancelSignal();
		this.#signal = this.#cancel
			? AbortSignal.any([this.#cancel, this.#halt.signal])
			: this.#halt.signal;
		this.itemCount = context.getInputData().length;
		this.#continues = context.continueOnFail();
		this.#results = Array.from({ length: this.itemCount });
	}

	/** Handles all items that have no result yet, side by side up to the limit. */
	async forEachItem(
		limit: number,
		handle: (itemIndex: number, signal: AbortSignal) => Promise<INodeExecutionData[] | undefined>,
	): Promise<void> {
		await forEachIndex(this.itemCount, limit, async (itemIndex) => {
			if (this.#signal.aborted || this.#results[itemIndex]) return;
			try {
				this.#throwIfPointless();
				// A signal of its own for each item: Node.js warns of a leak when many listen to one.
				this.#results[itemIndex] = await handle(itemIndex, AbortSignal.any([this.#signal]));
			} catch (error) {
				this.#fail(itemIndex, error);
			}
		});
		this.#throwIfOver();
	}

	/**
	 * The API with the node's credential; undefined when nothing can be sent, which is then what is
	 * wrong with every item that is left.
	 */
	async connect(clock: Clock): Promise<Api | undefined> {
		try {
			return await Api.connect(this.#context, clock);
		} catch (error) {
			for (let itemIndex = 0; itemIndex < this.itemCount; itemIndex++) {
				if (!this.#results[itemIndex]) this.#fail(itemIndex, error);
			}
			this.#throwIfOver();
			return undefined;
		}
	}

	/**
	 * Submits for an item once not too many others are being sent, and not at all when the run is over
	 * by then. What it fails of counts before the next one in line is let through.
	 */
	async submitInTurn<T>(itemIndex: number, submit: () => Promise<T>): Promise<T> {
		return await this.#submits.pass(async () => {
			this.#throwIfPointless();
			try {
				return await submit();
			} catch (error) {
				const failure = asFailure(error);
				this.#note(itemIndex, failure);
				throw failure;
			}
		});
	}

	/** Whether nothing is left to be done. */
	get isComplete(): boolean {
		return this.#results.every((result) => result !== undefined);
	}

	/** The output, in input order. */
	items(): INodeExecutionData[] {
		return this.#results.flatMap((result) => result ?? []);
	}

	#fail(itemIndex: number, error: unknown): void {
		const failure = withJob(asFailure(error), this.jobIds.get(itemIndex));
		this.#note(itemIndex, failure);
		if (this.#continues) {
			this.#results[itemIndex] = [toErrorItem(failure, itemIndex, this.itemCount)];
		}
	}

	/** What a failure means for the items that are not handled yet. */
	#note(itemIndex: number, failure: Failure): void {
		if (this.#continues) {
			if (failure.facts.concernsAllItems) this.#accountFailure ??= withoutJob(failure);
			return;
		}
		this.#ending ??= { failure, itemIndex };
		this.#halt.abort();
	}

	#throwIfPointless(): void {
		if (this.#signal.aborted) throw run.canceled();
		if (this.#accountFailure) throw this.#accountFailure;
	}

	/** Only when no item is under way any more, so that every job is known by now. */
	#throwIfOver(): void {
		const node = this.#context.getNode();
		if (this.#cancel?.aborted) {
			const jobIds = [...this.jobIds].filter(([item]) => !this.#results[item]?.every(isResult));
			if (jobIds.length > 0) {
				this.#context.logger.info(logLines.stopped(jobIds.map(([, jobId]) => jobId)));
			}
			throw toNodeError(node, run.canceled(), 0);
		}
		if (!this.#ending) return;
		const { failure, itemIndex } = this.#ending;
		const others = [...this.jobIds.values()].filter((jobId) => jobId !== failure.facts.jobId);
		const unclear = [...this.unclear].filter((item) => item !== itemIndex);
		const told = run.withOtherJobs(failure, others, unclear);
		throw toNodeError(node, isTool(this.#context) ? forModel(told) : told, itemIndex, others);
	}
}

/** Reads something of each item once: what was checked is what counts, and n8n evaluates slowly. */
function perItem<T>(read: (itemIndex: number) => T): (itemIndex: number) => T {
	const known: T[] = [];
	return (itemIndex) => (known[itemIndex] ??= read(itemIndex));
}

/** Whether an item is anything but an error item. */
function isResult({ json }: INodeExecutionData): boolean {
	return !('error' in json);
}

/** Anything that is thrown, as a failure: n8n's own, of an expression say, keep their words. */
function asFailure(error: unknown): Failure {
	if (error instanceof Failure) return error;
	const { message, description } = error as { message?: unknown; description?: unknown };
	return new Failure({
		message: typeof message === 'string' ? message : String(error),
		description: typeof description === 'string' ? description : '',
	});
}

/** What is paid for is named whatever went wrong. */
function withJob(failure: Failure, jobId: string | undefined): Failure {
	return jobId === undefined || failure.facts.jobId !== undefined
		? failure
		: failure.with({ jobId });
}

/** For a tool of an AI agent: n8n 2.40 tells the agent's model the message alone. */
function forModel(failure: Failure): Failure {
	return failure.with({ message: `${failure.message}. ${failure.facts.description}` });
}

/** The same for an item that was not sent. */
function withoutJob({ facts }: Failure): Failure {
	const { message, description, httpStatus } = facts;
	return new Failure({
		message,
		description,
		...(httpStatus === undefined ? {} : { httpStatus }),
		concernsAllItems: true,
	});
}

/**
 * Starts a paid job for each input item and, as the parameters say, waits for it and collects its
 * images. All items are checked before the first job is started.
 *
 * @returns the node's output; with continue-on-error, failed items are error items
 * @throws NodeApiError or NodeOperationError for the first item that fails otherwise
 */
export async function runJobs(
	context: IExecuteFunctions,
	endpoint: Endpoint,
	clock: Clock = systemClock,
): Promise<INodeExecutionData[][]> {
	const items = new Run(context);
	const ledger = isTool(context) ? undefined : new Ledger(context, endpoint);
	const checked = new CheckedRequests();
	const settingsOf = perItem((itemIndex) => readSettings(context, itemIndex, jobProperties));
	let concurrency: number | undefined;
	let dryRunCount = 0;

	for (let itemIndex = 0; itemIndex < items.itemCount; itemIndex++) {
		const remembered = ledger?.recall(itemIndex);
		if (remembered && 'jobId' in remembered) items.jobIds.set(itemIndex, remembered.jobId);
	}
	await items.forEachItem(1, async (itemIndex) => {
		const settings = settingsOf(itemIndex);
		const { maxJobsPerRun } = settings;
		concurrency ??= settings.maxConcurrentJobs;
		if (maxJobsPerRun > 0 && items.itemCount > maxJobsPerRun) {
			throw refused.tooManyItems(items.itemCount, maxJobsPerRun);
		}
		const remembered = settings.dryRun ? undefined : ledger?.recall(itemIndex);
		// What is paid for needs no check, and its files may be gone by now.
		if (remembered && 'jobId' in remembered) return undefined;
		if (remembered && !settings.resubmitUnclear) throw sentences.outcomeStillUnknown();
		const request = await readRequest(context, endpoint, itemIndex);
		if (!settings.dryRun) {
			checked.keep(itemIndex, request);
			return undefined;
		}
		dryRunCount++;
		return [{ json: dryRunResult(request), pairedItem: { item: itemIndex } }];
	});
	if (dryRunCount > 0) hint(context, hints.dryRun(dryRunCount));
	if (items.isComplete) return [items.items()];

	const api = await items.connect(clock);
	if (!api) return [items.items()];
	const pace = new LookUpPace(clock);
	const collector = new Collector(context, api, clock);
	const takenUp = new Set<number>();

	/** The item's job: from an earlier try, or started now. */
	const start = async (itemIndex: number, signal: AbortSignal): Promise<StartedJob> => {
		const remembered = ledger?.recall(itemIndex);
		if (remembered && 'jobId' in remembered) {
			takenUp.add(itemIndex);
			const echo = readValues(context, endpoint, itemIndex);
			return { jobId: remembered.jobId, echo, isNew: false };
		}
		const request = checked.take(itemIndex) ?? (await readRequest(context, endpoint, itemIndex));
		try {
			const jobId = await items.submitInTurn(
				itemIndex,
				async () => await api.submit(request, signal),
			);
			ledger?.record(itemIndex, { jobId });
			items.jobIds.set(itemIndex, jobId);
			context.logger.info(logLines.started(jobId, itemIndex));
			return { jobId, echo: request.values, isNew: true };
		} catch (error) {
			if (error instanceof Failure && error.facts.outcomeUnknown) {
				ledger?.record(itemIndex, { outcomeUnknown: true });
				items.unclear.add(itemIndex);
				context.logger.warn(logLines.unclear(itemIndex, error.facts.description));
			}
			throw asFailure(error);
		}
	};

	await items.forEachItem(concurrency ?? 1, async (itemIndex, signal) => {
		const settings = settingsOf(itemIndex);
		let started = await start(itemIndex, signal);
		if (!settings.waits) return [submittedItem(started, itemIndex)];
		const finish = () =>
			watch(api, clock, pace, started.jobId, {
				...settings,
				isNew: started.isNew,
				until: 'finished',
				signal,
			});
		let watched = await finish();
		if (watched.job.status === 'Failed' && settings.onFailed === 'error') {
			ledger?.forget(itemIndex);
			if (!started.isNew) {
				takenUp.delete(itemIndex);
				items.jobIds.delete(itemIndex);
				started = await start(itemIndex, signal);
				watched = await finish();
				if (watched.job.status === 'Failed') ledger?.forget(itemIndex);
			}
		}
		return await collector.collect(watched, settings, itemIndex, signal, started.echo);
	});

	const output = items.items();
	if (output.every(isResult)) ledger?.clear();
	if (takenUp.size > 0) hint(context, hints.takenUp(takenUp.size, items.itemCount));
	hintAtPendingJobs(context, output, items.itemCount);
	return [output];
}

interface StartedJob {
	jobId: string;
	/** What output items repeat of the request. */
	echo: IDataObject;
	isNew: boolean;
}

function submittedItem({ jobId, echo }: StartedJob, itemIndex: number): INodeExecutionData {
	return {
		json: { job_id: jobId, status: 'Pending', ...echo },
		pairedItem: { item: itemIndex },
	};
}

function dryRunResult(request: JobRequest): IDataObject {
	return {
		dry_run: true,
		...request.values,
		reference_images: request.files.map(({ fieldName, fileName, mimeType, bytes }) => ({
			field: fieldName,
			file_name: fileName,
			mime_type: mimeType,
			bytes,
		})),
	};
}

/**
 * Looks up a job for each input item, all side by side, and collects its images if it is finished.
 *
 * @returns the node's output; with continue-on-error, failed items are error items
 * @throws NodeApiError or NodeOperationError for the first item that fails otherwise
 */
export async function runLookUps(
	context: IExecuteFunctions,
	clock: Clock = systemClock,
): Promise<INodeExecutionData[][]> {
	const items = new Run(context);
	const jobIds: string[] = [];
	const settingsOf = perItem((itemIndex) => readSettings(context, itemIndex, lookUpProperties));
	// Whoever looks once must not use up its time in line; whoever waits, waits beside the others.
	let concurrency = CONCURRENT_LOOK_UPS;

	await items.forEachItem(1, (itemIndex) => {
		if (settingsOf(itemIndex).waits) concurrency = items.itemCount;
		const jobId = readText(context, 'jobId', 'Job ID', itemIndex).trim();
		if (!UUID.test(jobId)) throw refused.malformedJobId(jobId);
		jobIds[itemIndex] = jobId;
		return Promise.resolve(undefined);
	});

	const api = await items.connect(clock);
	if (!api) return [items.items()];
	const pace = new LookUpPace(clock);
	const collector = new Collector(context, api, clock);

	await items.forEachItem(concurrency, async (itemIndex, signal) => {
		const settings = settingsOf(itemIndex);
		const jobId = jobIds[itemIndex] ?? '';
		const watched = await watch(api, clock, pace, jobId, {
			isNew: false,
			until: settings.waits ? 'finished' : 'seen',
			timeoutMs: settings.waits ? settings.timeoutMs : SINGLE_LOOK_BUDGET_MS,
			pollIntervalMs: settings.pollIntervalMs,
			signal,
		});
		const isWantedPending = settings.waits && settings.onTimeout === 'returnPending';
		if (!watched.wasSeen && !isWantedPending) {
			throw sentences.lookUpImpossible(jobId, watched.waitedMs, watched.trouble ?? '');
		}
		return await collector.collect(watched, settings, itemIndex, signal);
	});

	const output = items.items();
	hintAtPendingJobs(context, output, items.itemCount);
	return [output];
}

function hint(context: IExecuteFunctions, message: string): void {
	context.addExecutionHints({ message, type: 'info', location: 'outputPane' });
}

/** The part that pending jobs and error items have in common. */
interface PendingJob {
	job_id?: string;
	status?: string;
}

function hintAtPendingJobs(
	context: IExecuteFunctions,
	output: readonly INodeExecutionData[],
	itemCount: number,
): void {
	const pending = output
		.map(({ json }) => (json.timed_out === true ? json : json.error) as PendingJob | undefined)
		.filter((job) => job?.status !== undefined && !isFinished(job.status))
		.map((job) => job?.job_id ?? '');
	if (pending.length > 0) hint(context, hints.stillRunning(pending, itemCount));
}
