import type {
	IBinaryKeyData,
	IDataObject,
	IExecuteFunctions,
	INodeExecutionData,
} from 'n8n-workflow';

import type { Clock } from '../clock';
import { Semaphore } from '../concurrency';
import { asFailure, toErrorItem, toNodeError, type Failure } from '../failure';
import { hints, logLines, runFailures } from '../messages';
import type { JobSlot } from './plan';
import { isFinished } from './poll';
import { isTool } from './settings';

/** An output item before it is paired with its input item. */
export interface OutputItem {
	json: IDataObject;
	binary?: IBinaryKeyData;
}

/** The part that pending jobs and error items have in common. */
interface PendingJob {
	job_id?: string;
	status?: string;
}

/** Submits under way at once, however many jobs may be unfinished. */
const CONCURRENT_SUBMITS = 20;

/** How long the run may keep n8n from answering other requests. */
const SLICE_MS = 25;

/**
 * The items of one execution of a node: their results in input order, what one failure means for the
 * others, and how it all ends.
 */
export class ItemRun {
	readonly itemCount: number;
	/** n8n's Stop and workflow timeout. */
	readonly canceled: AbortSignal | undefined;

	readonly #context: IExecuteFunctions;
	readonly #clock: Clock;
	readonly #startsJobs: boolean;
	readonly #continues: boolean;
	readonly #halt = new AbortController();
	/** Ends waiting: {@link canceled}, or a failure that ends the run. */
	readonly #signal: AbortSignal;
	readonly #submits = new Semaphore(CONCURRENT_SUBMITS);
	/** By item index and job number. */
	readonly #results: (OutputItem[] | undefined)[][];
	/** The paid jobs of this run by item index and job number, also those of an earlier try. */
	readonly #jobIds = new Map<number, Map<number, string>>();
	/** Items for which it is not known whether a job was started. */
	readonly #unknown = new Set<number>();
	#isChecking = true;
	#sliceStartedAtMs = 0;
	#ending: { failure: Failure; itemIndex: number } | undefined;
	#accountFailure: Failure | undefined;

	/** @param startsJobs whether items that fail could have cost money */
	constructor(context: IExecuteFunctions, clock: Clock, startsJobs: boolean) {
		this.#context = context;
		this.#clock = clock;
		this.#startsJobs = startsJobs;
		this.#sliceStartedAtMs = clock.now();
		this.canceled = context.getExecutionCancelSignal();
		this.#signal = this.canceled
			? AbortSignal.any([this.canceled, this.#halt.signal])
			: this.#halt.signal;
		this.itemCount = context.getInputData().length;
		this.#continues = context.continueOnFail();
		this.#results = Array.from({ length: this.itemCount }, () => []);
	}

	/** Ends waiting, for work that is not about one item. */
	get signal(): AbortSignal {
		return this.#signal;
	}

	/** Remembers a paid job: from here on every failure of the run names it. */
	noteJob({ itemIndex, jobNumber }: JobSlot, jobId: string): void {
		const ofItem = this.#jobIds.get(itemIndex) ?? new Map<number, string>();
		this.#jobIds.set(itemIndex, ofItem.set(jobNumber, jobId));
	}

	/** Takes back a job that has failed and is to be replaced. */
	forgetJob({ itemIndex, jobNumber }: JobSlot): void {
		this.#jobIds.get(itemIndex)?.delete(jobNumber);
	}

	/** Remembers that a job may exist for an item. */
	noteUnknown({ itemIndex }: JobSlot): void {
		this.#unknown.add(itemIndex);
	}

	/**
	 * Checks all items one after the other, before anything is carried out.
	 *
	 * @returns the plans of the items that passed
	 * @throws NodeApiError or NodeOperationError when an item does not, unless the node continues
	 */
	async checkItems<P>(check: (itemIndex: number) => Promise<readonly P[]>): Promise<P[]> {
		const plans: P[] = [];
		for (let itemIndex = 0; itemIndex < this.itemCount && !this.#signal.aborted; itemIndex++) {
			await this.#letOthersRun();
			try {
				this.#throwIfPointless();
				plans.push(...(await check(itemIndex)));
			} catch (error) {
				this.#fail({ itemIndex, jobNumber: 1 }, error);
			}
		}
		this.#throwIfOver();
		return plans;
	}

	/** Fails jobs that were checked, all for the same reason. */
	refuse(jobs: readonly { slot: JobSlot }[], failure: Failure): void {
		for (const { slot } of jobs) this.#fail(slot, failure);
		this.#throwIfOver();
	}

	/**
	 * Carries plans out side by side, up to the limit, in their order.
	 * @throws NodeApiError or NodeOperationError for the first one that fails, unless the node continues
	 */
	async carryOut<P extends { slot: JobSlot }>(
		plans: readonly P[],
		limit: number,
		carryOut: (plan: P, signal: AbortSignal) => Promise<OutputItem[]>,
	): Promise<void> {
		this.#isChecking = false;
		const places = new Semaphore(limit);
		const carryOutInTurn = async (plan: P): Promise<void> => {
			await this.#letOthersRun();
			if (this.#signal.aborted) return;
			try {
				this.#throwIfPointless();
				// A signal of its own for each: Node.js warns of a leak when many listen to one.
				this.#put(plan.slot, await carryOut(plan, AbortSignal.any([this.#signal])));
			} catch (error) {
				this.#fail(plan.slot, error);
			}
		};
		await Promise.all(
			plans.map((plan) =>
				places.run(async () => {
					await carryOutInTurn(plan);
				}),
			),
		);
		this.#throwIfOver();
	}

	/**
	 * Submits a job once not too many others are being submitted, and not at all when the run is over
	 * by then. What it fails of counts before the next one in line is let through.
	 */
	async submitInTurn<T>({ itemIndex }: JobSlot, submit: () => Promise<T>): Promise<T> {
		return await this.#submits.run(async () => {
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

	/** The output, in input order. */
	items(): INodeExecutionData[] {
		return this.#results.flatMap((ofItem, item) =>
			ofItem.flatMap((items) => (items ?? []).map((each) => ({ ...each, pairedItem: { item } }))),
		);
	}

	/** With continue-on-error: what names an item among others in an error item of its own making. */
	errorItemsOf({ itemIndex }: JobSlot): { itemIndex: number | undefined } | undefined {
		if (!this.#continues) return undefined;
		return { itemIndex: this.itemCount > 1 ? itemIndex : undefined };
	}

	/** Says something in the output panel. */
	hint(message: string): void {
		this.#context.addExecutionHints({ message, type: 'info', location: 'outputPane' });
	}

	/** Says which jobs are still running, if any are. */
	hintAtPendingJobs(output: readonly INodeExecutionData[]): void {
		const pending = output
			.map(({ json }) => (json.timed_out === true ? json : json.error) as PendingJob | undefined)
			.filter((job) => job?.status !== undefined && !isFinished(job.status))
			.map((job) => job?.job_id ?? '');
		if (pending.length > 0) this.hint(hints.stillRunning(pending, this.itemCount));
	}

	/** Lets n8n answer other requests: thousands of items are a long time for it. */
	async #letOthersRun(): Promise<void> {
		if (this.#clock.now() - this.#sliceStartedAtMs <= SLICE_MS) return;
		await this.#clock.sleep(0);
		this.#sliceStartedAtMs = this.#clock.now();
	}

	#put({ itemIndex, jobNumber }: JobSlot, items: OutputItem[]): void {
		const ofItem = this.#results[itemIndex];
		if (ofItem) ofItem[jobNumber - 1] = items;
	}

	#fail(slot: JobSlot, error: unknown): void {
		const { itemIndex } = slot;
		const failure = this.#withJobs(slot, asFailure(error));
		this.#note(itemIndex, failure);
		if (!this.#continues) return;
		const told = this.#withWhatWasStarted(failure);
		this.#put(slot, [toErrorItem(told, this.errorItemsOf(slot)?.itemIndex)]);
	}

	/** A paid job is named whatever went wrong with it. While an item is checked, all of its jobs are. */
	#withJobs({ itemIndex, jobNumber }: JobSlot, failure: Failure): Failure {
		const ofItem = this.#jobIds.get(itemIndex) ?? new Map<number, string>();
		const jobIds = this.#isChecking ? [...ofItem.values()] : [ofItem.get(jobNumber)];
		const known = jobIds.filter((jobId) => jobId !== undefined);
		const [first] = known;
		return first === undefined
			? failure
			: runFailures.withOwnJobs(failure, known).with({ jobId: failure.facts.jobId ?? first });
	}

	/** Whoever reads of input that was refused wants to know what it cost. */
	#withWhatWasStarted(failure: Failure): Failure {
		if (!this.#isChecking || !this.#startsJobs) return failure;
		return runFailures.withNothingStarted(failure, {
			isOneOfMany: this.#continues && this.itemCount > 1 && !failure.facts.concernsAllItems,
			isRetry: this.#jobIds.size + this.#unknown.size > 0,
		});
	}

	/** What a failure means for the items that are not handled yet. */
	#note(itemIndex: number, failure: Failure): void {
		if (this.#continues) {
			if (failure.facts.concernsAllItems) this.#accountFailure ??= failure.withoutJob();
			return;
		}
		this.#ending ??= { failure, itemIndex };
		this.#halt.abort();
	}

	#throwIfPointless(): void {
		if (this.#signal.aborted) throw runFailures.canceled();
		if (this.#accountFailure) throw this.#accountFailure;
	}

	/** Only when no item is under way any more, so that every job is known by now. */
	#throwIfOver(): void {
		const node = this.#context.getNode();
		if (this.canceled?.aborted) {
			const jobIds = this.#uncollectedJobIds();
			if (jobIds.length > 0) this.#context.logger.info(logLines.stopped(jobIds));
			throw toNodeError(node, runFailures.canceled());
		}
		if (!this.#ending) return;
		const { itemIndex } = this.#ending;
		const failure = this.#withWhatWasStarted(this.#ending.failure);
		const all = [...this.#jobIds.values()].flatMap((ofItem) => [...ofItem.values()]);
		const others = all.filter(
			(jobId) => jobId !== failure.facts.jobId && !failure.text.includes(jobId),
		);
		const unknown = [...this.#unknown].filter((item) => item !== itemIndex);
		const told = runFailures.withOtherJobs(failure, others, unknown);
		throw toNodeError(
			node,
			isTool(this.#context) ? told.forModel() : told,
			failure.facts.concernsAllItems ? undefined : itemIndex,
			all.filter((jobId) => jobId !== failure.facts.jobId),
		);
	}

	#uncollectedJobIds(): string[] {
		return [...this.#jobIds].flatMap(([itemIndex, ofItem]) =>
			[...ofItem]
				.filter(([jobNumber]) => !this.#results[itemIndex]?.[jobNumber - 1]?.every(isResult))
				.map(([, jobId]) => jobId),
		);
	}
}

/** Whether an item is anything but an error item. */
export function isResult({ json }: OutputItem): boolean {
	return !('error' in json);
}
