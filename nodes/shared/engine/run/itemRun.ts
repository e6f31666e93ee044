import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import type { Clock } from '../../clock';
import { Semaphore } from '../../concurrency';
import { asFailure, toErrorItem, toNodeError, type Failure } from '../../failure';
import { hints, logLines, runFailures } from '../../messages';
import { noteInCustomData } from '../jobs/customData';
import { numberOf, type JobSlot } from '../jobs/plan';
import { isFinished } from '../../api/job';
import { isResult, type OutputItem } from '../output/item';
import { isTool } from '../../n8n';

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
	/** Jobs of which it is not known whether they were started, by {@link placeOf}. */
	readonly #unknown = new Map<string, JobSlot>();
	#isChecking = true;
	#sliceStartedAtMs: number;
	#ending: { failure: Failure; slot: JobSlot } | undefined;

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
		noteInCustomData(this.#context, jobId);
	}

	/** Takes back a job that has failed and is to be replaced. */
	forgetJob({ itemIndex, jobNumber }: JobSlot): void {
		this.#jobIds.get(itemIndex)?.delete(jobNumber);
	}

	/** Remembers that a job may exist. */
	noteUnknown(slot: JobSlot): void {
		this.#unknown.set(placeOf(slot), slot);
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
				this.#failItem(itemIndex, error);
			}
		}
		this.throwIfOver();
		return plans;
	}

	/** Fails one job, in its place among the others of its item. */
	fail(slot: JobSlot, error: unknown): void {
		const failure = this.#ofJob(slot, asFailure(error));
		this.#note(slot, failure);
		if (this.#continues) this.#putError(slot, failure);
	}

	/**
	 * Fails jobs that were checked, all for the same reason. With continue-on-error it does not concern
	 * the rest, which costs nothing: paid jobs that are resumed, and dry runs.
	 */
	refuse(jobs: readonly { slot: JobSlot }[], failure: Failure): void {
		for (const { slot } of jobs) {
			const told = this.#ofJob(slot, failure);
			if (this.#continues) this.#putError(slot, told);
			else this.#note(slot, told);
		}
		this.throwIfOver();
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
				this.fail(plan.slot, error);
			}
		};
		await Promise.all(
			plans.map((plan) =>
				places.run(async () => {
					await carryOutInTurn(plan);
				}),
			),
		);
		this.throwIfOver();
	}

	/**
	 * Submits a job once not too many others are being submitted, and not at all when the run is over
	 * by then. What it fails of counts before the next one in line is let through.
	 */
	async submitInTurn<T>(slot: JobSlot, submit: () => Promise<T>): Promise<T> {
		return await this.#submits.run(async () => {
			this.#throwIfPointless();
			try {
				return await submit();
			} catch (error) {
				const failure = asFailure(error);
				this.#note(slot, this.#ofJob(slot, failure));
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
	hintAtPendingJobs(output: readonly INodeExecutionData[], jobCount: number): void {
		const pending = output
			.map(({ json }) => (json.timed_out === true ? json : json.error) as PendingJob | undefined)
			.filter((job) => job?.status !== undefined && !isFinished(job.status))
			.map((job) => job?.job_id ?? '');
		if (pending.length > 0) this.hint(hints.stillRunning(pending, jobCount));
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

	#putError(slot: JobSlot, failure: Failure): void {
		const told = this.#withWhatWasStarted(failure);
		this.#put(slot, [toErrorItem(told, this.errorItemsOf(slot)?.itemIndex)]);
	}

	/** Fails an item before it is known how many jobs it starts; those that have been charged are named. */
	#failItem(itemIndex: number, error: unknown): void {
		const slot = { itemIndex, jobNumber: 1, jobCount: 1 };
		const jobIds = [...(this.#jobIds.get(itemIndex)?.values() ?? [])];
		const failure = withJobs(asFailure(error), jobIds);
		this.#note(slot, failure);
		if (this.#continues) this.#putError(slot, failure);
	}

	/** A failure with what tells a job from the others; a paid job is named whatever went wrong with it. */
	#ofJob(slot: JobSlot, failure: Failure): Failure {
		const jobId = this.#jobIds.get(slot.itemIndex)?.get(slot.jobNumber);
		return withJobs(failure, jobId === undefined ? [] : [jobId]).with(numberOf(slot));
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
	#note(slot: JobSlot, failure: Failure): void {
		if (this.#continues) return;
		this.#ending ??= { failure, slot };
		this.#halt.abort();
	}

	#throwIfPointless(): void {
		if (this.#signal.aborted) throw runFailures.canceled();
	}

	/**
	 * Ends the run if something has ended it. Only when no item is under way any more, so that every
	 * job is known by now.
	 * @throws NodeApiError or NodeOperationError
	 */
	throwIfOver(): void {
		const node = this.#context.getNode();
		if (this.canceled?.aborted) {
			const jobIds = this.#uncollectedJobIds();
			if (jobIds.length > 0) this.#context.logger.info(logLines.stopped(jobIds));
			throw toNodeError(node, runFailures.canceled());
		}
		if (!this.#ending) return;
		const { slot } = this.#ending;
		const failure = this.#withWhatWasStarted(this.#ending.failure);
		const all = [...this.#jobIds.values()].flatMap((ofItem) => [...ofItem.values()]);
		const others = all.filter(
			(jobId) => jobId !== failure.facts.jobId && !failure.text.includes(jobId),
		);
		const told = runFailures.withOtherJobs(failure, others, this.#itemsWithOtherUnknown());
		throw toNodeError(
			node,
			isTool(this.#context) ? told.forModel() : told,
			failure.facts.concernsAllItems ? undefined : slot.itemIndex,
			all.filter((jobId) => jobId !== failure.facts.jobId),
		);
	}

	/** The items of the jobs that may exist, without the one of which the failure itself says so. */
	#itemsWithOtherUnknown(): number[] {
		const own = this.#ending?.failure.facts.outcomeUnknown && placeOf(this.#ending.slot);
		const others = [...this.#unknown].filter(([place]) => place !== own);
		return [...new Set(others.map(([, { itemIndex }]) => itemIndex))];
	}

	#uncollectedJobIds(): string[] {
		return [...this.#jobIds].flatMap(([itemIndex, ofItem]) =>
			[...ofItem]
				.filter(([jobNumber]) => !this.#results[itemIndex]?.[jobNumber - 1]?.every(isResult))
				.map(([, jobId]) => jobId),
		);
	}
}

function placeOf({ itemIndex, jobNumber }: JobSlot): string {
	return `${itemIndex}:${jobNumber}`;
}

function withJobs(failure: Failure, jobIds: readonly string[]): Failure {
	const [first] = jobIds;
	return first === undefined
		? failure
		: runFailures.withOwnJobs(failure, jobIds).with({ jobId: failure.facts.jobId ?? first });
}
