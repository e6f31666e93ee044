import type { DeduplicationHelperFunctions } from 'n8n-workflow';

import type { Clock } from '../../clock';

/** The part of n8n's helpers that reads and writes its database. */
export type Store = Pick<
	DeduplicationHelperFunctions,
	'checkProcessedAndRecord' | 'removeProcessed' | 'getProcessedDataCount'
>;

/** A job that a run of this process waits for. */
export interface Line {
	/** The run. */
	owner: object;
	/** None if they are of an earlier run, and so the first to be dropped. */
	texts: readonly string[];
	/** Whether it is not in the place of a request that another run, or an earlier one, may have sent. */
	isNew: boolean;
}

/** The item, the variation, that it was sent, and by whom, and the 32 digits of its ID. */
const TEXTS_PER_JOB = 36;
/** Jobs of a node that are kept when no run waits for more. */
const KEPT_JOBS = 60;
const KEPT_TEXTS = KEPT_JOBS * TEXTS_PER_JOB;
const MOST_JOBS = 1000;
/** Each write repeats the newest jobs, so that a write that n8n has lost heals. */
const REPEATED_JOBS = 20;
/** n8n looks for each text that is taken out from the row's beginning; other requests wait meanwhile. */
const COMPARISONS_AT_ONCE = 4_000_000;
const MOST_TEXTS_AT_ONCE = 5000;
/** While n8n starts many executions at once its loop stands still, and the time with it. */
const PATIENCE_STEPS = 20;
const PATIENCE_STEP_MS = 100;
const COUNT_EVERY_MS = 10_000;
const HOUR_MS = 3_600_000;
/** From one round of a retry to the next. */
const HOLD_MS = 600_000;
const ENTRIES = { mode: 'entries' } as const;

/**
 * The row of n8n's deduplication store that belongs to a node: a set of hashed texts. n8n reads and writes
 * it as a whole, so the runs of this process take turns. What fails, or takes too long, rejects.
 */
export class JournalRow {
	/** By name of the job. The latest of a name counts. */
	readonly lines = new Map<string, Line>();
	/** By name, who is about to write such a line. */
	readonly announced = new Map<string, object>();
	/** Names of jobs whose runs have ended. */
	readonly #ended = new Set<string>();
	#last: Promise<unknown> = Promise.resolve();
	/** Those who wait for the database give up together when a call takes too long. */
	readonly #waiting = new Set<(reason: Error) => void>();
	#isStuck = false;
	#held = 0;
	#heldUntilMs = 0;
	/** When the row may be looked at again for jobs to drop. */
	#trimsFromMs = 0;
	/** The write that still waits for its turn. */
	#next: { texts: Set<string>; jobs: number; known: Promise<Set<string>> } | undefined;

	/** A run has ended, and n8n saves what came of it. */
	end(name: string): void {
		const isOld = this.lines.get(name)?.texts.length === 0;
		this.lines.delete(name);
		if (isOld) return;
		if (this.#ended.size >= MOST_JOBS) this.#ended.clear();
		this.#ended.add(name);
	}

	/** A run waits for a job of this name. */
	begin(name: string, line: Line): void {
		this.#ended.delete(name);
		// The newest one is the last.
		this.lines.delete(name);
		this.lines.set(name, line);
	}

	/** Whether another run of this process has a request open, or is about to send one. */
	isOpen(name: string, run: object): boolean {
		const line = this.lines.get(name);
		const owner = line?.texts.length ? line.owner : this.announced.get(name);
		return owner !== undefined && owner !== run;
	}

	hasEnded(name: string): boolean {
		return this.#ended.has(name);
	}

	/**
	 * Records texts, in one write with all that wait for their turn.
	 *
	 * @param jobs of the execution, those of earlier runs as well: infinite where none may be dropped
	 * @returns those that were there
	 */
	async record(
		store: Store,
		clock: Clock,
		texts: readonly string[],
		jobs: number,
	): Promise<Set<string>> {
		if (!this.#next) {
			const all = new Set<string>();
			const next = { texts: all, jobs, known: Promise.resolve(all) };
			next.known = this.#inTurn(clock, async () => {
				if (this.#next === next) this.#next = undefined;
				for (const { texts: again } of [...this.lines.values()].slice(-REPEATED_JOBS)) {
					for (const text of again) all.add(text);
				}
				const wanted = Math.max(this.lines.size, next.jobs);
				if (wanted > KEPT_JOBS && wanted < Infinity) {
					all.add(busyAt(clock.now()));
					this.#trimsFromMs = clock.now() + HOUR_MS;
				}
				const hasOld = [...this.lines.values()].some((line) => line.texts.length === 0);
				const needed = hasOld ? Infinity : wanted * TEXTS_PER_JOB + all.size;
				// What another process waits for must not make room for what is added.
				const held = await this.#heldLately(store, clock);
				const room = held > KEPT_TEXTS ? held + all.size : KEPT_TEXTS;
				const maxEntries = Math.min(Math.max(room, needed), MOST_JOBS * TEXTS_PER_JOB);
				const write = async () =>
					await store.checkProcessedAndRecord([...all], 'node', { ...ENTRIES, maxEntries });
				// When two processes write a node's first row, n8n fails one of them.
				const written = await write().catch(write);
				this.#held = Math.min(held + written.new.length, maxEntries);
				return new Set(written.processed as string[]);
			});
			this.#next = next;
		}
		this.#next.jobs = Math.max(this.#next.jobs, jobs);
		for (const text of texts) this.#next.texts.add(text);
		return await this.#next.known;
	}

	async remove(store: Store, clock: Clock, texts: readonly string[]): Promise<void> {
		await this.#inTurn(clock, async () => {
			await store.removeProcessed([...texts], 'node', ENTRIES);
		});
	}

	/** Which of the texts are there. n8n records what it is asked for, so that is taken out again. */
	async ask(store: Store, clock: Clock, texts: readonly string[]): Promise<Set<string>> {
		const there = new Set<string>();
		let at = 0;
		while (at < texts.length) {
			await this.#inTurn(clock, async () => {
				const held = await store.getProcessedDataCount('node', ENTRIES);
				const most = Math.min(MOST_TEXTS_AT_ONCE, Math.ceil(COMPARISONS_AT_ONCE / (held + 1)));
				const some = texts.slice(at, (at += most));
				if (held === 0) return;
				const found = await store.checkProcessedAndRecord(some, 'node', ENTRIES);
				if (found.new.length > 0) await store.removeProcessed(found.new, 'node', ENTRIES);
				for (const text of found.processed as string[]) there.add(text);
			});
		}
		return there;
	}

	/** Drops nothing for a while. */
	hold(clock: Clock): void {
		this.#trimsFromMs = Math.max(this.#trimsFromMs, clock.now() + HOLD_MS);
	}

	/** Drops what is older than the jobs to keep, unless an execution of some process needs more. */
	async trim(store: Store, clock: Clock): Promise<void> {
		const nowMs = clock.now();
		if (this.lines.size > 0 || nowMs < this.#trimsFromMs) return;
		const held = await this.#inTurn(clock, async () => await this.#heldLately(store, clock));
		if (held <= KEPT_TEXTS) return;
		this.#trimsFromMs = nowMs + HOUR_MS;
		const busy = await this.ask(store, clock, [busyAt(nowMs), busyAt(nowMs - HOUR_MS)]);
		if (busy.size > 0) return;
		await this.#inTurn(clock, async () => {
			await store.checkProcessedAndRecord([], 'node', { ...ENTRIES, maxEntries: KEPT_TEXTS });
			this.#held = KEPT_TEXTS;
		});
	}

	/** How many texts the row has had within the last seconds: to count them, n8n reads them all. */
	async #heldLately(store: Store, clock: Clock): Promise<number> {
		if (clock.now() >= this.#heldUntilMs) {
			this.#held = await store.getProcessedDataCount('node', ENTRIES);
			this.#heldUntilMs = clock.now() + COUNT_EVERY_MS;
		}
		return this.#held;
	}

	async #inTurn<T>(clock: Clock, act: () => Promise<T>): Promise<T> {
		// What is recorded from here on must not get in front.
		this.#next = undefined;
		return await new Promise<T>((resolve, reject) => {
			if (this.#isStuck) reject(tooSlow());
			this.#waiting.add(reject);
			this.#last = this.#last.then(async () => {
				const end = new AbortController();
				void isLate(clock, end.signal).then((isStuck) => {
					if (!isStuck) return;
					this.#isStuck = true;
					for (const giveUp of this.#waiting) giveUp(tooSlow());
				});
				try {
					resolve(await act());
				} catch (error) {
					reject(error instanceof Error ? error : new Error(String(error)));
				}
				end.abort();
				this.#isStuck = false;
				this.#waiting.delete(reject);
			});
		});
	}
}

/** Whether nothing has ended the wait for the database. */
async function isLate(clock: Clock, ended: AbortSignal): Promise<boolean> {
	for (let step = 0; step < PATIENCE_STEPS && !ended.aborted; step++) {
		await clock.sleep(PATIENCE_STEP_MS, ended);
	}
	return !ended.aborted;
}

function tooSlow(): Error {
	const seconds = (PATIENCE_STEPS * PATIENCE_STEP_MS) / 1000;
	return new Error(`it has not answered for ${seconds} seconds`);
}

/** Tells other processes that an execution needs more jobs than are kept otherwise. */
function busyAt(nowMs: number): string {
	return `busy ${Math.floor(nowMs / HOUR_MS)}`;
}
