import type { IDataObject, INodeExecutionData } from 'n8n-workflow';

import { isFinished } from '../../api/job';
import { asFailure, type Failure } from '../../failure';
import { hints, logLines, NO_JOBS, runFailures, type Circumstances } from '../../messages';
import { onlyJobOf, type JobSlot } from '../jobs/plan';
import { errorItem, nodeError } from '../output/failed';
import { isResult, type OutputItem } from '../output/item';
import { notCopied, withInputFields } from '../output/output';
import type { Run } from './run';

/** What is known of the jobs that failures name. */
export interface KnownJobs {
	/** Whether the node starts jobs, so that its failures say what they cost. */
	readonly startsJobs: boolean;
	/** Whether it is certain that none exists. */
	readonly isEmpty: boolean;
	/** Paid jobs of earlier attempts that this run does not ask for. */
	readonly leftBehind: readonly string[];
	of(slot: JobSlot): string | undefined;
	jobIds(itemIndex?: number): string[];
	isUnknown(slot: JobSlot): boolean;
	unknownSlots(): JobSlot[];
}

/** Of a run that knows of no job. */
export const NO_KNOWN_JOBS: KnownJobs = {
	startsJobs: false,
	isEmpty: true,
	leftBehind: [],
	of: () => undefined,
	jobIds: () => [],
	isUnknown: () => false,
	unknownSlots: () => [],
};

/** The part that pending jobs and error items have in common. */
interface PendingJob {
	job_id?: string;
	status?: string;
	timed_out?: boolean;
}

interface FirstFailure {
	failure: Failure;
	slot: JobSlot;
	/** Whether it is the whole item that has failed, not one of its jobs. */
	isItem: boolean;
}

/** The results of a run in input order, what one failure means for the others, and how it all ends. */
export class Results {
	readonly #run: Run;
	readonly #jobs: KnownJobs;
	/** The texts by which people know the items, as far as those have been checked. */
	readonly texts = new Map<number, string>();
	/** By item index and job number. */
	readonly #items: (OutputItem[] | undefined)[][];
	readonly #notCopied = new Set<string>();
	#isChecking = true;
	#first: FirstFailure | undefined;

	constructor(run: Run, jobs: KnownJobs) {
		this.#run = run;
		this.#jobs = jobs;
		this.#items = Array.from({ length: run.itemCount }, () => []);
	}

	/** From now on jobs are started: what fails has been checked. */
	beginToPerform(): void {
		this.#isChecking = false;
	}

	put({ itemIndex, jobNumber }: JobSlot, items: OutputItem[]): void {
		const ofItem = this.#items[itemIndex];
		if (ofItem) ofItem[jobNumber - 1] = items;
	}

	/** Fails an item of which it is not known how many jobs it starts. */
	failItem(itemIndex: number, error: unknown): void {
		this.#fail({ failure: asFailure(error), slot: onlyJobOf(itemIndex), isItem: true });
	}

	/** Fails one job, in its place among the others of its item. */
	fail(slot: JobSlot, error: unknown): void {
		this.#fail({ failure: asFailure(error).of(slot), slot, isItem: false });
	}

	/**
	 * Fails jobs that were checked, all for the same reason. With continue-on-error it does not concern
	 * the rest, which costs nothing: paid jobs that are resumed, and dry runs.
	 */
	refuse(slots: readonly JobSlot[], failure: Failure): void {
		for (const slot of slots) this.fail(slot, failure);
		this.throwIfOver();
	}

	/** With continue-on-error: what stands for a part of a job that failed, an image for instance. */
	errorItemFor(slot: JobSlot): ((failure: Failure) => OutputItem) | undefined {
		if (!this.#run.continues) return undefined;
		return (failure) => this.#errorItem({ failure: failure.of(slot), slot, isItem: false });
	}

	/** The output, in input order. */
	items(): INodeExecutionData[] {
		return this.#items.flatMap((ofItem, item) =>
			ofItem.flatMap((items) => (items ?? []).map((each) => ({ ...each, pairedItem: { item } }))),
		);
	}

	/** Says which jobs are still running, and which input fields were not copied, if there are any. */
	hintAt(output: readonly INodeExecutionData[], jobCount: number): void {
		const pending = output
			.map(({ json }) => (json.error ?? json) as PendingJob)
			.filter(({ status }) => status !== undefined && !isFinished(status));
		if (pending.length > 0) {
			const hasWaited = pending.some((job) => job.timed_out === true);
			const jobIds = pending.map(({ job_id = '' }) => job_id);
			this.#run.hint(
				hints.stillRunning(jobIds, jobCount, this.#jobs.startsJobs ? undefined : hasWaited),
			);
		}
		if (this.#notCopied.size > 0) this.#run.hint(hints.notCopied([...this.#notCopied]));
	}

	/** The items with the JSON of their input item. */
	withInput(items: readonly OutputItem[], { itemIndex }: JobSlot): OutputItem[] {
		const input = this.#run.context.getInputData()[itemIndex]?.json ?? {};
		for (const name of notCopied(items, input)) this.#notCopied.add(name);
		return withInputFields(items, input);
	}

	/**
	 * Ends the run if something has ended it. Only when no item is in progress any more, so that every
	 * job is known by now.
	 * @throws NodeApiError or NodeOperationError
	 */
	throwIfOver(): void {
		const { context, canceled } = this.#run;
		const node = context.getNode();
		if (canceled?.aborted) {
			const jobIds = this.#uncollectedJobIds();
			if (jobIds.length > 0) context.logger.info(logLines.stopped(jobIds));
			throw nodeError(node, runFailures.canceled(), NO_JOBS);
		}
		if (!this.#first) return;
		const { failure, slot } = this.#first;
		const { itemIndex } = slot;
		const isOneRow = this.#run.itemCount > 1 && !failure.facts.concernsAllItems;
		const circumstances = this.#circumstances(this.#first);
		const { ownJobIds } = circumstances;
		const isOwn = (each: JobSlot) =>
			each.itemIndex === itemIndex && each.jobNumber === slot.jobNumber;
		const unknown = this.#jobs
			.unknownSlots()
			.filter((each) => !(failure.facts.outcomeUnknown && isOwn(each)));
		const named = [...ownJobIds, failure.facts.jobId];
		const all: Circumstances = {
			...circumstances,
			otherJobIds: [...this.#jobs.jobIds(), ...this.#jobs.leftBehind].filter(
				(jobId) => !named.includes(jobId),
			),
			unknownItems: [...new Set(unknown.map(({ itemIndex }) => itemIndex))],
			isForModel: this.#run.isTool,
			...(isOneRow && {
				row: { number: itemIndex + 1, text: this.texts.get(itemIndex) ?? '' },
			}),
		};
		throw nodeError(node, failure, all, failure.facts.concernsAllItems ? undefined : itemIndex);
	}

	/** A failure ends the run, unless the node continues: nothing more may start from here on. */
	#fail(failed: FirstFailure): void {
		if (this.#run.continues) {
			this.put(failed.slot, [this.#errorItem(failed)]);
			return;
		}
		this.#first ??= failed;
		this.#run.end();
	}

	#errorItem(failed: FirstFailure): OutputItem {
		const itemIndex = this.#run.itemCount > 1 ? failed.slot.itemIndex : undefined;
		return errorItem(failed.failure, this.#circumstances(failed), itemIndex);
	}

	#circumstances({ failure, slot, isItem }: FirstFailure): Circumstances {
		const { context, continues, isTool, itemCount } = this.#run;
		// Retry of the workflow that called this one calls it again, and pays again.
		const mode = context.getMode();
		const ofSlot = this.#jobs.of(slot);
		const own = isItem ? this.#jobs.jobIds(slot.itemIndex) : ofSlot === undefined ? [] : [ofSlot];
		return {
			...NO_JOBS,
			startsJobs: this.#jobs.startsJobs,
			isChecking: this.#isChecking,
			// Not all that a retry's earlier attempts have paid for is always known.
			isRetry: mode === 'retry' || !this.#jobs.isEmpty,
			canRetry: !continues && !isTool && mode !== 'integrated',
			isOneOfMany: continues && itemCount > 1 && !failure.facts.concernsAllItems,
			ownJobIds: own.filter((jobId) => jobId !== failure.facts.jobId),
			unknownItems:
				!failure.facts.outcomeUnknown && this.#jobs.isUnknown(slot) ? [slot.itemIndex] : [],
		};
	}

	#uncollectedJobIds(): string[] {
		return this.#items.flatMap((ofItem, itemIndex) => {
			const items = ofItem.flatMap((each) => each ?? []);
			return this.#jobs.jobIds(itemIndex).filter((jobId) => {
				const ofJob = items.filter(({ json }) => jobIdIn(json) === jobId);
				return ofJob.length === 0 || !ofJob.every(isResult);
			});
		});
	}
}

function jobIdIn(json: IDataObject): unknown {
	return json.job_id ?? (json.error as PendingJob | undefined)?.job_id;
}
