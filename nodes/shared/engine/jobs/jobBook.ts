import type { IExecuteFunctions } from 'n8n-workflow';

import type { Clock } from '../../clock';
import { propertiesOfField, type Endpoint } from '../../endpoint';
import { apiFailures, logLines } from '../../messages';
import type { ParameterReader } from '../check/parameters';
import { ContextPage, type Entry } from './contextPage';
import { noteInCustomData } from './customData';
import { guardsOf } from './guard';
import { JobCount } from './jobCount';
import { attemptOf } from './jobKey';
import { Journal, type Recorded } from './journal';
import type { JobSlot } from './plan';

interface Line {
	slot: JobSlot;
	entry: Entry;
	/** Whether an earlier attempt has written it. */
	isRecalled: boolean;
}

/** What the book holds in memory, by item index and job number. */
class Lines {
	readonly #items = new Map<number, Map<number, Line>>();

	get isEmpty(): boolean {
		return this.#items.size === 0;
	}

	at({ itemIndex, jobNumber }: JobSlot): Line | undefined {
		return this.#items.get(itemIndex)?.get(jobNumber);
	}

	/** All lines, or those of one item. */
	of(itemIndex?: number): Line[] {
		const items =
			itemIndex === undefined ? [...this.#items.values()] : [this.#items.get(itemIndex)];
		return items.flatMap((lines) => [...(lines?.values() ?? [])]);
	}

	put(line: Line): void {
		const { itemIndex, jobNumber } = line.slot;
		const ofItem = this.#items.get(itemIndex) ?? new Map<number, Line>();
		this.#items.set(itemIndex, ofItem.set(jobNumber, line));
	}

	remove({ itemIndex, jobNumber }: JobSlot): void {
		this.#items.get(itemIndex)?.delete(jobNumber);
	}
}

/**
 * The one place that knows which jobs exist: those of this run, and those that earlier attempts have paid
 * for. Each is written down in memory, n8n's log, the node's context, n8n's database, and the execution's
 * custom data, in this order. Nothing of that throws: nothing may come between the user and a job that has been charged.
 */
export class JobBook {
	readonly startsJobs = true;
	/** Paid jobs of earlier attempts that this run does not ask for: the workflow or the items were edited. */
	readonly leftBehind: readonly string[];

	readonly #context: IExecuteFunctions;
	readonly #clock: Clock;
	readonly #page: ContextPage;
	readonly #journal: Journal | undefined;
	readonly #count: JobCount;
	readonly #lines = new Lines();
	/** Slots that are counted, but have no job yet. */
	readonly #reserved = new Set<string>();
	/** Slots whose request was open when the execution was stopped. */
	readonly #stopped = new Set<string>();

	/** Without what only n8n's database knows: see {@link open}. */
	constructor(
		context: IExecuteFunctions,
		endpoint: Endpoint,
		clock: Clock,
		valuesOf: (itemIndex: number) => readonly unknown[] = () => [],
	) {
		this.#context = context;
		this.#clock = clock;
		const guardOf = guardsOf(context, endpoint);
		this.#page = new ContextPage(context, guardOf);
		if (Journal.canKeep(context)) {
			this.#journal = new Journal(
				context,
				clock,
				attemptOf(context, guardOf, valuesOf),
				() => Math.max(this.#count.jobs, this.#count.started),
				(reason) => {
					this.#log('warn', logLines.journalFailed(reason));
				},
			);
		}
		this.#count = new JobCount(context);
		const leftBehind: string[] = [];
		for (const { slot, entry, isSameWork } of this.#page.read()) {
			const jobIds = jobIdsIn({ slot, entry, isRecalled: true });
			if (isSameWork) this.#lines.put({ slot, entry, isRecalled: true });
			else leftBehind.push(...jobIds);
			for (const jobId of jobIds) noteInCustomData(context, jobId);
		}
		this.leftBehind = leftBehind;
		if (leftBehind.length > 0) this.#log('info', logLines.leftBehind(leftBehind));
	}

	/** Opens the book, with all that earlier attempts of a retried execution have written. */
	static async open(
		context: IExecuteFunctions,
		endpoint: Endpoint,
		clock: Clock,
		reader: ParameterReader,
	): Promise<JobBook> {
		const names = endpoint.fields
			.flatMap((field) => (field.kind === 'files' ? [] : propertiesOfField(field)))
			.map(({ name }) => name);
		const valuesOf = (itemIndex: number) => reader.stableValues(names, itemIndex);
		const book = new JobBook(context, endpoint, clock, valuesOf);
		if (context.getMode() !== 'retry') return book;
		const items = context.getInputData().map((_, itemIndex) => itemIndex);
		for (const itemIndex of items) await book.prepare(itemIndex);
		await book.#recall(items);
		return book;
	}

	/** Jobs that the node has started in this execution, and those that have been reserved. */
	get countedJobs(): number {
		return this.#count.jobs;
	}

	/** Whether it is certain that no job exists. */
	get isEmpty(): boolean {
		return this.#lines.isEmpty;
	}

	/** How many jobs this run has started or may have, and how many the node has in this execution. */
	get counts(): { started: number; unknown: number; total: number } {
		const started = this.#lines
			.of()
			.filter(({ entry, isRecalled }) => !isRecalled && 'jobId' in entry);
		const unknown = this.#lines.of().filter((line) => !line.isRecalled && !('jobId' in line.entry));
		const total = this.#count.started - unknown.length;
		return { started: started.length, unknown: unknown.length, total };
	}

	/** What earlier attempts have left of a slot. */
	recalled(slot: JobSlot): Entry | undefined {
		const line = this.#lines.at(slot);
		return line?.isRecalled ? line.entry : undefined;
	}

	/** The jobs that earlier attempts have paid for, unless they are known to have failed. */
	recalledJobs(): { slot: JobSlot; jobId: string }[] {
		return this.#lines
			.of()
			.flatMap((line) =>
				line.isRecalled ? jobIdsIn(line).map((jobId) => ({ slot: line.slot, jobId })) : [],
			);
	}

	/** Jobs of an item that earlier attempts have paid for, beyond the number that is wanted now. */
	unwanted(itemIndex: number, jobCount: number): string[] {
		return this.#lines
			.of(itemIndex)
			.flatMap((line) => (line.slot.jobNumber > jobCount ? jobIdsIn(line) : []));
	}

	/** Whether a slot takes the place of a job, or of an unknown outcome, that this execution has counted. */
	isCounted(slot: JobSlot): boolean {
		const entry = this.recalled(slot);
		const { executionId } = this.#count;
		return executionId !== undefined && entry?.executionId === executionId;
	}

	/** Does what takes time beforehand: nothing may be left to go wrong once the API has answered. */
	async prepare(itemIndex: number): Promise<void> {
		this.#page.prepare(itemIndex);
		await this.#journal?.prepare(itemIndex);
	}

	/** Counts jobs before they are started, so that calls of an agent side by side cannot both fit. */
	reserve(slots: readonly JobSlot[]): void {
		for (const slot of slots) {
			if (this.isCounted(slot)) continue;
			this.#reserved.add(keyOf(slot));
			this.#count.reserve(1);
		}
	}

	/**
	 * A request is about to be sent.
	 *
	 * @param hasFiles whether it has files
	 * @returns the job that it has started already, if n8n runs this very execution again
	 * @throws Failure when it has been sent already, and nobody knows whether it started a job
	 */
	async submitting(slot: JobSlot, hasFiles: boolean): Promise<string | undefined> {
		const earlier = this.recalled(slot);
		const recorded = await this.#journal?.intend(slot, earlier, hasFiles);
		if (!recorded) return undefined;
		// Another retry in parallel may still take it back.
		if ('outcomeUnknown' in recorded) throw apiFailures.outcomeStillUnknown();
		this.#put(slot, recorded);
		return recorded.jobId;
	}

	/** The API has answered with a job. */
	started(slot: JobSlot, jobId: string): void {
		const { executionId } = this.#count;
		const line = logLines.started(jobId, slot.itemIndex);
		this.#write(slot, { jobId, submittedAtMs: this.#clock.now(), executionId }, 'info', line);
		this.#journal?.started(slot, jobId);
		noteInCustomData(this.#context, jobId);
	}

	/** A job may exist, although no job ID came back. */
	unknown(slot: JobSlot, why: string): void {
		const { itemIndex } = slot;
		const isLate = this.#stopped.has(keyOf(slot));
		if (isLate) this.#log('info', logLines.notStartedAfterStop(itemIndex, false));
		else
			this.#write(
				slot,
				{ outcomeUnknown: true, executionId: this.#count.executionId },
				'warn',
				logLines.outcomeUnknown(itemIndex, why),
			);
	}

	/** The execution was stopped while the request is open. Its answer is still written down. */
	stopped(slot: JobSlot, why: string): void {
		this.unknown(slot, why);
		this.#stopped.add(keyOf(slot));
	}

	/** A request was not sent after all, or not accepted. */
	notStarted(slot: JobSlot): void {
		this.#journal?.withdraw(slot);
		if (!this.#stopped.has(keyOf(slot))) return;
		this.#lines.remove(slot);
		this.#log('info', logLines.notStartedAfterStop(slot.itemIndex, true));
		quietly(() => {
			this.#page.erase(slot);
		});
	}

	/** The job has failed. It stays in the book: the one that replaces it is not counted again. */
	failed(slot: JobSlot): void {
		const line = this.#lines.at(slot);
		if (!line || !('jobId' in line.entry)) return;
		const entry: Entry = { ...line.entry, hasFailed: true };
		line.entry = entry;
		quietly(() => {
			this.#page.write(slot, entry);
		});
	}

	/**
	 * A job of an earlier attempt has failed.
	 * @returns what another retry of the same execution has put in its place
	 */
	async replaced(slot: JobSlot): Promise<Entry | undefined> {
		this.failed(slot);
		const failed = this.recalled(slot);
		await this.#recall([slot.itemIndex]);
		const entry = this.recalled(slot);
		return entry === failed ? undefined : entry;
	}

	/** The job of a slot, unless an earlier attempt has seen it fail. */
	of(slot: JobSlot): string | undefined {
		const line = this.#lines.at(slot);
		return line && jobIdsIn(line)[0];
	}

	/** All jobs of the run, or those of one item. */
	jobIds(itemIndex?: number): string[] {
		return this.#lines.of(itemIndex).flatMap(jobIdsIn);
	}

	/** Whether a job of a slot may exist. */
	isUnknown(slot: JobSlot): boolean {
		const entry = this.#lines.at(slot)?.entry;
		return entry !== undefined && 'outcomeUnknown' in entry;
	}

	/** The slots of which it is not known whether a job exists. */
	unknownSlots(): JobSlot[] {
		return this.#lines.of().flatMap(({ slot, entry }) => ('outcomeUnknown' in entry ? [slot] : []));
	}

	/** Forgets the run; only for one that ended without an error item. */
	forget(): void {
		this.#page.clear();
	}

	/** Takes back what was reserved and has no job. */
	close(): void {
		this.#count.reserve(-this.#reserved.size);
		this.#reserved.clear();
		this.#journal?.close(this.#context.getExecutionCancelSignal()?.aborted === true);
	}

	/** What the database knows better than the context: n8n has lost that in a crash, or it is older. */
	async #recall(items: readonly number[]): Promise<void> {
		const savedOf = (slot: JobSlot) => {
			const entry = this.recalled(slot);
			if (!entry) return undefined;
			if ('outcomeUnknown' in entry) return 'unknown';
			return entry.hasFailed ? 'failed' : 'alive';
		};
		for (const { slot, recorded, isOpen } of (await this.#journal?.recall(items, savedOf)) ?? []) {
			const entry = this.recalled(slot);
			const isNews =
				'jobId' in recorded
					? !entry || !('jobId' in entry) || entry.jobId !== recorded.jobId
					: savedOf(slot) !== 'unknown';
			if (isNews) this.#put(slot, recorded, isOpen);
		}
	}

	/** Puts into the book, and the context, what the database has told, unless it may be taken back. */
	#put(slot: JobSlot, recorded: Recorded, isOpen = false): void {
		const submittedAtMs = this.#clock.now();
		const entry: Entry = { ...recorded, submittedAtMs, executionId: undefined };
		this.#lines.put({ slot, entry, isRecalled: true });
		if ('jobId' in entry) noteInCustomData(this.#context, entry.jobId);
		else if (isOpen) return;
		quietly(() => {
			this.#page.write(slot, entry);
		});
	}

	#write(slot: JobSlot, entry: Entry, level: 'info' | 'warn', line: string): void {
		if (this.#lines.at(slot)?.isRecalled !== false) this.#count.start();
		this.#lines.put({ slot, entry, isRecalled: false });
		this.#reserved.delete(keyOf(slot));
		this.#log(level, line);
		quietly(() => {
			this.#page.write(slot, entry);
		});
	}

	#log(level: 'info' | 'warn', line: string): void {
		quietly(() => {
			this.#context.logger[level](line);
		});
	}
}

/** One place that fails must not keep the others from being written. */
function quietly(write: () => void): void {
	try {
		write();
	} catch {
		// The other places, and the output, still name the job.
	}
}

function keyOf({ itemIndex, jobNumber }: JobSlot): string {
	return `${itemIndex}:${jobNumber}`;
}

/** What an earlier attempt has seen fail is replaced, and no longer named. */
function jobIdsIn({ entry, isRecalled }: Line): string[] {
	return 'jobId' in entry && !(entry.hasFailed && isRecalled) ? [entry.jobId] : [];
}
