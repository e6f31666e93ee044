import type { IExecuteFunctions } from 'n8n-workflow';

import type { Clock } from '../../clock';
import { isTool } from '../../n8n';
import type { Entry } from './contextPage';
import type { Attempt } from './jobKey';
import { JournalRow, type Store } from './journalRow';
import type { JobSlot } from './plan';

/** What n8n's database tells of a job after a crash. */
export type Recorded = { jobId: string } | { outcomeUnknown: true };

interface Recalled {
	slot: JobSlot;
	recorded: Recorded;
	/** Whether another run is at it right now, and may still take it back. */
	isOpen: boolean;
}

const HEX = Array.from({ length: 16 }, (_, digit) => digit.toString(16));
const JOB_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ID_DIGITS = 32;
const MOST_VARIATIONS = 20;
const ASK_ATTEMPTS = 30;
const ASK_PAUSE_MS = 1000;

/** All rows that this process has worked with: they outlive a run, as late answers do. */
const rows = new Map<string, JournalRow>();

/**
 * The book's page in n8n's database, for what n8n itself forgets of an execution: after a crash, and on some
 * versions after Stop. It can only help: whatever is wrong with the database, the run goes on without.
 *
 * The store is a set of hashed texts. That a request is about to be sent is one of them, and each digit of
 * the job's ID with its position is one. Exactly one digit at each position is an ID. Whatever else is
 * there of a request that was sent is an unknown outcome.
 */
export class Journal {
	readonly #store: Store;
	readonly #row: JournalRow;
	readonly #clock: Clock;
	readonly #attempt: Attempt;
	readonly #executionId: string;
	/** Marks the jobs of this execution. */
	readonly #own: string;
	readonly #isRetry: boolean;
	readonly #jobsOfExecution: () => number;
	readonly #onFailure: (reason: string) => void;
	readonly #keys = new Map<number, string>();
	#hasFailed = false;
	#isFailing = false;

	/**
	 * @param jobsOfExecution how many the node starts in this execution, with those of earlier rounds of a loop
	 * @param onFailure is called once, if the database does not do its part
	 */
	constructor(
		context: IExecuteFunctions,
		clock: Clock,
		attempt: Attempt,
		jobsOfExecution: () => number,
		onFailure: (reason: string) => void,
	) {
		const name = JSON.stringify([context.getWorkflow().id, context.getNode().id]);
		const row = rows.get(name) ?? new JournalRow();
		rows.set(name, row);
		this.#row = row;
		this.#store = context.helpers;
		this.#clock = clock;
		this.#attempt = attempt;
		this.#executionId = context.getExecutionId();
		this.#isRetry = context.getMode() === 'retry';
		this.#own = `by ${attempt.firstExecutionId ?? this.#executionId}`;
		this.#jobsOfExecution = jobsOfExecution;
		this.#onFailure = onFailure;
	}

	/** Not for a tool, whose calls nothing tells apart, nor without a saved workflow or an execution. */
	static canKeep(context: IExecuteFunctions): boolean {
		const ids = [context.getWorkflow().id, context.getExecutionId()] as (string | undefined)[];
		return !isTool(context) && !ids.includes(undefined);
	}

	/** Does what takes time beforehand, for what is called later about jobs of this item. */
	async prepare(itemIndex: number): Promise<void> {
		if (!this.#keys.has(itemIndex)) this.#keys.set(itemIndex, await this.#attempt.keyOf(itemIndex));
	}

	/**
	 * What earlier attempts have sent for the items, which have to be prepared.
	 *
	 * @param contextOf what n8n has saved of a slot; with a job that is alive, nothing else is asked for
	 */
	async recall(
		itemIndexes: readonly number[],
		contextOf: (slot: JobSlot) => 'alive' | 'unknown' | 'failed' | undefined,
	): Promise<Recalled[]> {
		if (!this.#isRetry) return [];
		const found = await this.#recall(
			itemIndexes,
			(slot) => this.#nameOf(slot),
			'sent',
			(slot) => contextOf(slot) !== 'alive',
		);
		if (!this.#isOfKnown) return found;
		// What a run has written before it ended is in the context, but for an answer that came late.
		const isFound = new Set(found.map(({ slot }) => this.#nameOf(slot)));
		const earlier = await this.#recall(
			itemIndexes,
			(slot) => this.#firstNameOf(slot),
			this.#own,
			(slot) => {
				const saved = contextOf(slot);
				const isOpen = saved === 'unknown' || (saved !== 'alive' && !this.#attempt.hasEnded);
				return isOpen && !isFound.has(this.#nameOf(slot));
			},
		);
		return [...found, ...earlier];
	}

	/** @param mark what the store must have of a job besides its name */
	async #recall(
		itemIndexes: readonly number[],
		nameOf: (slot: JobSlot) => string,
		mark: string,
		isWanted: (slot: JobSlot) => boolean,
	): Promise<Recalled[]> {
		const items = await this.#thereOf(itemIndexes, (itemIndex) => nameOf(slotOf(itemIndex, 0)));
		const slots = items.flatMap((itemIndex) =>
			Array.from({ length: MOST_VARIATIONS }, (_, index) => slotOf(itemIndex, index + 1)),
		);
		const asked = await this.#thereOf(slots.filter(isWanted), nameOf);
		const sent = await this.#thereOf(asked, (slot) => `${nameOf(slot)} ${mark}`);
		const recalled: Recalled[] = [];
		for (const slot of sent) {
			const name = nameOf(slot);
			const isOpen = this.#row.isOpen(name, this);
			const recorded = await this.#read(name, mark);
			// It has been taken back meanwhile.
			if (!recorded) continue;
			recalled.push({ slot, recorded, isOpen });
			const { lines } = this.#row;
			// Until the run ends, others must not drop it, in case of a second crash.
			if (!lines.has(name)) lines.set(name, { owner: this, texts: [], isNew: false });
		}
		return recalled;
	}

	/**
	 * A request is about to be sent. Waits until the database has it.
	 *
	 * @param earlier what is known of a job in whose place this one is started
	 * @param hasFiles whether the request has files, which may be others than those of an earlier one
	 * @returns what has been sent for this job already, by this very execution, which n8n 1 runs again when
	 * a worker has died, or by another retry of it in parallel
	 */
	async intend(
		slot: JobSlot,
		earlier: Entry | undefined,
		hasFiles: boolean,
	): Promise<Recorded | undefined> {
		const name = this.#nameOf(slot);
		const { lines, announced } = this.#row;
		const owner = lines.get(name)?.owner ?? announced.get(name);
		announced.set(name, this);
		const own = `${name} ${this.#own}`;
		const texts = [this.#nameOf(slotOf(slot.itemIndex, 0)), name, `${name} sent`, own];
		const failedJobId = earlier && 'jobId' in earlier ? earlier.jobId : undefined;
		const written = this.#record(texts);
		const known = this.#isFailing ? undefined : await written;
		announced.delete(name);
		const isUnexpected = !owner && !earlier && known?.has(`${name} sent`) === true;
		const isTaken = isUnexpected || (owner !== undefined && owner !== this);
		const isRerun = isUnexpected && known.has(own);
		const hasEnded = this.#row.hasEnded(name);
		if (isRerun || (isTaken && this.#isRetry)) {
			const recorded = await this.#read(name, 'sent');
			const isJob = recorded && 'jobId' in recorded && recorded.jobId !== failedJobId;
			return isJob ? recorded : { outcomeUnknown: true };
		}
		const isOther = isTaken && !hasEnded;
		const isNew = !isOther && !(earlier && 'outcomeUnknown' in earlier);
		this.#row.begin(name, { owner: this, texts, isNew });
		// Not before: a retry beside this one may be about to replace that job.
		if (failedJobId !== undefined) await this.#remove(digitsOf(name, failedJobId));
		// Of two executions that nothing tells apart the latest counts, but nobody gets another one's files.
		const unclear = `${name} unclear`;
		if (isOther && hasFiles) await this.#renew([...texts, unclear], []);
		else if (isTaken || (hasEnded && !this.#isRetry))
			await this.#renew(texts, [unclear, ...candidatesOf(name)]);
		return undefined;
	}

	/**
	 * A name that was here before keeps its place in the row, where it would be the first to be dropped, and
	 * its digits may have outlived it.
	 */
	async #renew(texts: readonly string[], leftovers: readonly string[]): Promise<void> {
		await this.#remove([...texts, ...leftovers]);
		await this.#record(texts);
	}

	/** Nothing was sent after all, or the API has refused it. */
	withdraw(slot: JobSlot): void {
		const name = this.#nameOf(slot);
		const line = this.#row.lines.get(name);
		const isMine = line?.owner === this;
		if (isMine) this.#row.lines.delete(name);
		const isLast = isMine && line.isNew;
		void this.#remove([`${name} ${this.#own}`, ...(isLast ? [`${name} sent`] : [])]);
	}

	/** The API has answered with a job. An ID of another kind than the API's is not kept. */
	started(slot: JobSlot, jobId: string): void {
		const name = this.#nameOf(slot);
		const line = this.#row.lines.get(name);
		if ((line && line.owner !== this) || !JOB_ID.test(jobId)) return;
		const texts = [...(line?.texts ?? []), ...digitsOf(name, jobId)];
		if (line) line.texts = texts;
		void this.#record(texts);
	}

	/**
	 * The run has ended. Its jobs stay, like those of the newest runs before it.
	 * @param isStopped whether n8n may forget what came of it
	 */
	close(isStopped = false): void {
		this.#attempt.end();
		const { lines } = this.#row;
		for (const [name, { owner }] of lines) {
			if (owner !== this) continue;
			if (isStopped) lines.delete(name);
			else this.#row.end(name);
		}
		// A later round of a retry may ask for the oldest.
		if (this.#isRetry) this.#row.hold(this.#clock);
		else void this.#ifItCan(this.#row.trim(this.#store, this.#clock));
	}

	/** As the first attempt names a job. */
	#firstNameOf({ itemIndex, jobNumber }: JobSlot): string {
		return `${this.#keys.get(itemIndex) ?? ''} ${jobNumber}`;
	}

	/** The retries of an execution that n8n has not forgotten have different names. */
	#nameOf(slot: JobSlot): string {
		return this.#isOfKnown ? `${this.#own} ${this.#firstNameOf(slot)}` : this.#firstNameOf(slot);
	}

	get #isOfKnown(): boolean {
		return this.#isRetry && this.#attempt.firstExecutionId !== undefined;
	}

	/** The job of a name that is there, if its ID is whole. @returns undefined if its mark has gone */
	async #read(name: string, mark: string): Promise<Recorded | undefined> {
		const marked = `${name} ${mark}`;
		const there = await this.#ask([`${name} unclear`, ...candidatesOf(name), marked]);
		if (!there) return { outcomeUnknown: true };
		if (!there.has(marked)) return undefined;
		const digits = Array.from({ length: ID_DIGITS }, (_, position) =>
			HEX.filter((digit) => there.has(digitText(name, position, digit))),
		);
		const isWhole = digits.every(({ length }) => length === 1);
		if (!isWhole || there.has(`${name} unclear`)) return { outcomeUnknown: true };
		return { jobId: digits.join('').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') };
	}

	/** Those of which the store has the text. */
	async #thereOf<T>(all: readonly T[], textOf: (each: T) => string): Promise<T[]> {
		const there = await this.#ask(all.map(textOf));
		return all.filter((each) => there?.has(textOf(each)));
	}

	/** Which texts the store has. Asks again if need be: what it does not tell is paid for again. */
	async #ask(texts: readonly string[]): Promise<Set<string> | undefined> {
		for (let attempt = 1; attempt <= ASK_ATTEMPTS; attempt++) {
			const there = await this.#ifItCan(this.#row.ask(this.#store, this.#clock, texts));
			if (there) return there;
			await this.#clock.sleep(ASK_PAUSE_MS);
		}
		return undefined;
	}

	async #record(texts: readonly string[]): Promise<Set<string> | undefined> {
		// What a retry starts must not push out what its later rounds will ask for.
		const jobs = this.#isRetry ? Infinity : this.#jobsOfExecution();
		return await this.#ifItCan(this.#row.record(this.#store, this.#clock, texts, jobs));
	}

	async #remove(texts: readonly string[]): Promise<void> {
		await this.#ifItCan(this.#row.remove(this.#store, this.#clock, texts));
	}

	async #ifItCan<T>(given: Promise<T>): Promise<T | undefined> {
		try {
			const result = await given;
			this.#isFailing = false;
			return result;
		} catch (error) {
			if (!this.#hasFailed) this.#onFailure(error instanceof Error ? error.message : String(error));
			this.#hasFailed = this.#isFailing = true;
			return undefined;
		}
	}
}

function slotOf(itemIndex: number, jobNumber: number): JobSlot {
	return { itemIndex, jobNumber, jobCount: 1 };
}

function digitText(name: string, position: number, digit: string): string {
	return `${name} ${position} ${digit}`;
}

function digitsOf(name: string, jobId: string): string[] {
	return Array.from(jobId.replaceAll('-', ''), (digit, position) =>
		digitText(name, position, digit),
	);
}

function candidatesOf(name: string): string[] {
	return Array.from({ length: ID_DIGITS }, (_, position) =>
		HEX.map((digit) => digitText(name, position, digit)),
	).flat();
}
