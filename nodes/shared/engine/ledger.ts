import { createHash } from 'crypto';
import type { IExecuteFunctions } from 'n8n-workflow';

import { propertiesOf, type Endpoint } from '../endpoint';
import { COMBINED_BINARY_KEY } from './request';

/** What the ledger remembers of an item: its paid job, or that a submit's outcome is unknown. */
export type Entry = { jobId: string } | { outcomeUnknown: true };

type StoredEntry = Entry & { guard: string };

/** The ledger's place in the context that n8n saves with the execution. */
const KEY = 'aetherForgeJobs';

const GUARD_LENGTH = 32;

/**
 * The jobs that this execution has already paid for, so that a retry takes them up again.
 *
 * n8n runs the whole node anew on Retry On Fail, on Retry in the executions list, and when the first
 * output item is an error item. What it keeps in between is the node's context: it survives tries
 * and retries, and accumulates over the rounds of a loop, which is why an entry belongs to a run
 * index and an item index. The guard tells a retry of the same work from an edited workflow. It is
 * made of the parameters as written and of the item's JSON: an evaluated prompt may hold `$now`, and
 * the ID of a webhook's file changes from the first run to the retry.
 *
 * No prompt, file or secret is stored.
 */
export class Ledger {
	readonly #entries: Record<string, StoredEntry>;
	readonly #runIndex: number;
	readonly #guardOf: (itemIndex: number) => string;

	constructor(context: IExecuteFunctions, endpoint: Endpoint) {
		const stored = context.getContext('node');
		stored[KEY] ??= {};
		this.#entries = stored[KEY] as Record<string, StoredEntry>;
		this.#runIndex = context.getWorkflowDataProxy(0).$runIndex as number;

		const { parameters } = context.getNode();
		const written = propertiesOf(endpoint).map(({ name }) => parameters[name] ?? null);
		const items = context.getInputData();
		this.#guardOf = (itemIndex) =>
			createHash('sha256')
				.update(
					JSON.stringify([
						endpoint.path,
						written,
						{ ...items[itemIndex]?.json, [COMBINED_BINARY_KEY]: undefined },
					]),
				)
				.digest('hex')
				.slice(0, GUARD_LENGTH);
	}

	/** What an earlier try has done for this item, if it was the same work. */
	recall(itemIndex: number): Entry | undefined {
		const entry = this.#entries[this.#place(itemIndex)];
		if (!entry) return undefined;
		return entry.guard === this.#guardOf(itemIndex) ? entry : undefined;
	}

	/** Remembers; call it the moment the API has answered. */
	record(itemIndex: number, entry: Entry): void {
		this.#entries[this.#place(itemIndex)] = { ...entry, guard: this.#guardOf(itemIndex) };
	}

	/** Forgets an item whose job failed, so that a retry starts a new one. */
	forget(itemIndex: number): void {
		Reflect.deleteProperty(this.#entries, this.#place(itemIndex));
	}

	/** Forgets the whole run; only for one that ended without an error item. */
	clear(): void {
		const prefix = `${this.#runIndex}:`;
		for (const place of Object.keys(this.#entries)) {
			if (place.startsWith(prefix)) Reflect.deleteProperty(this.#entries, place);
		}
	}

	#place(itemIndex: number): string {
		return `${this.#runIndex}:${itemIndex}`;
	}
}
