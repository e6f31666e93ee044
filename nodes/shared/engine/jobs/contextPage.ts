import type { IExecuteFunctions } from 'n8n-workflow';

import { contextOf } from '../../n8n';
import type { JobSlot } from './plan';

/** What is known of a slot: a job that was started, or a request whose outcome is unknown. */
export type Entry =
	| {
			jobId: string;
			/** Milliseconds since the epoch. */
			submittedAtMs: number;
			/** The execution in which it was started, and counted. */
			executionId: string | undefined;
			/** Whether it has failed, so that a retry starts another one in its place. */
			hasFailed?: true;
	  }
	| { outcomeUnknown: true; executionId: string | undefined };

type StoredEntry = Entry & { guard: string };

/** The page's place in the context that n8n saves with the execution. */
const KEY = 'aetherForgeJobs';

/**
 * The book's page in the node's context. n8n runs the whole node again on Retry On Fail, on Retry in the
 * executions list, and when the first output item is an error item; the context survives all of these.
 * It accumulates over the rounds of a loop, which is why an entry belongs to a run index, an item, and
 * one of its jobs. An entry counts only under its item's guard.
 *
 * Each call of an AI agent's tool is a run with its own index, and without an execution nothing
 * outlives a call. No prompt, file, or secret is stored.
 */
export class ContextPage {
	readonly #entries: Record<string, StoredEntry>;
	readonly #guardOf: (itemIndex: number) => string;
	/** How the keys of this run begin. */
	readonly #run: string;

	/** @param guardOf tells the same work from an edited workflow, and from another item */
	constructor(context: IExecuteFunctions, guardOf: (itemIndex: number) => string) {
		this.#guardOf = guardOf;
		this.#run = `${String(context.getWorkflowDataProxy(0).$runIndex)}:`;
		const hasExecution = (context.getExecutionId() as string | undefined) !== undefined;
		const entries = hasExecution ? (contextOf(context)[KEY] ??= {}) : {};
		this.#entries = entries as Record<string, StoredEntry>;
	}

	/**
	 * What earlier attempts have done, in the order of items and their jobs, and whether it was the same
	 * work: an edited workflow, or another item, no longer asks for it.
	 */
	read(): { slot: JobSlot; entry: Entry; isSameWork: boolean }[] {
		return this.#keys()
			.flatMap((key) => {
				const [itemIndex = -1, jobNumber = 0] = key.split(':').slice(1).map(Number);
				const entry = this.#entries[key];
				if (!entry) return [];
				const isSameWork = entry.guard === this.#guardOf(itemIndex);
				return [{ slot: { itemIndex, jobNumber, jobCount: 1 }, entry, isSameWork }];
			})
			.sort(({ slot: a }, { slot: b }) => a.itemIndex - b.itemIndex || a.jobNumber - b.jobNumber);
	}

	/** Does what takes time beforehand: nothing may be left to go wrong once the API has answered. */
	prepare(itemIndex: number): void {
		this.#guardOf(itemIndex);
	}

	write(slot: JobSlot, entry: Entry): void {
		this.#entries[this.#keyOf(slot)] = { ...entry, guard: this.#guardOf(slot.itemIndex) };
	}

	erase(slot: JobSlot): void {
		Reflect.deleteProperty(this.#entries, this.#keyOf(slot));
	}

	/** Erases the whole run. */
	clear(): void {
		for (const key of this.#keys()) Reflect.deleteProperty(this.#entries, key);
	}

	#keys(): string[] {
		return Object.keys(this.#entries).filter((key) => key.startsWith(this.#run));
	}

	#keyOf({ itemIndex, jobNumber }: JobSlot): string {
		return `${this.#run}${itemIndex}:${jobNumber}`;
	}
}
