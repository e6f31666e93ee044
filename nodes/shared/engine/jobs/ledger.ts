import { createHash } from 'crypto';
import type { IDataObject, IExecuteFunctions, INodeParameters } from 'n8n-workflow';

import { propertiesOf, type Endpoint } from '../../endpoint';
import { contextOf, COMBINED_BINARY_KEY, isTool } from '../../n8n';
import type { JobSlot } from './plan';

/** What the ledger remembers: a paid job, or that a submit's outcome is unknown. */
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
	| { outcomeUnknown: true };

type StoredEntry = Entry & { guard: string };

/** The ledger's place in the context that n8n saves with the execution. */
const KEY = 'aetherForgeJobs';

const HASH_LENGTH = 32;

/**
 * The ID of a file in n8n's storage. n8n moves a webhook's files when the execution ends, and rewrites
 * their IDs wherever an item's JSON shares the file's object; the part at the end stays.
 */
const FILE_ID = /^[\w-]+:workflows\/.*\/binary_data\/([^/]+)$/;

/** What earlier tries have done, by item index and job number. */
export type Remembered = ReadonlyMap<number, ReadonlyMap<number, Entry>>;

/**
 * The jobs that this execution has already paid for, so that a retry resumes them.
 *
 * n8n runs the whole node anew on Retry On Fail, on Retry in the executions list, and when the first
 * output item is an error item. What it keeps in between is the node's context: it survives tries
 * and retries, and accumulates over the rounds of a loop, which is why an entry belongs to a run
 * index, an item and one of its jobs. The guard tells a retry of the same work from an edited
 * workflow. It is made of the parameters as written and of the item's JSON: an evaluated prompt may
 * hold `$now`. Where n8n keeps a file is no part of it: a webhook's file is moved after the first run.
 *
 * As an AI agent's tool the node has no place that outlives a call, and the ledger is in memory.
 *
 * No prompt, file or secret is stored.
 */
export class Ledger {
	readonly #entries: Record<string, StoredEntry>;
	readonly #runIndex: number;
	readonly #guardOf: (itemIndex: number) => string;

	constructor(context: IExecuteFunctions, endpoint: Endpoint) {
		const stored = isTool(context) ? {} : contextOf(context);
		stored[KEY] ??= {};
		this.#entries = stored[KEY] as Record<string, StoredEntry>;
		this.#runIndex = context.getWorkflowDataProxy(0).$runIndex as number;

		const { parameters } = context.getNode();
		const written = hashOf([
			endpoint.path,
			propertiesOf(endpoint).map(({ name }) => parameters[name]),
			additionalFieldsOf(parameters),
		]);
		const items = context.getInputData();
		const guards: string[] = [];
		this.#guardOf = (itemIndex) =>
			(guards[itemIndex] ??= hashOf([written, hashOf(withoutFiles(items[itemIndex]?.json))]));
	}

	/** What earlier tries have done, if it was the same work: by item index and job number, in order. */
	recall(): Remembered {
		const prefix = `${this.#runIndex}:`;
		const stored = Object.entries(this.#entries)
			.filter(([place]) => place.startsWith(prefix))
			.map(([place, entry]) => {
				const [itemIndex = -1, jobNumber = 0] = place.split(':').slice(1).map(Number);
				return { itemIndex, jobNumber, entry };
			})
			// They were recorded as the API answered.
			.sort((a, b) => a.itemIndex - b.itemIndex || a.jobNumber - b.jobNumber);
		const remembered = new Map<number, Map<number, Entry>>();
		for (const { itemIndex, jobNumber, entry } of stored) {
			if (entry.guard !== this.#guardOf(itemIndex)) continue;
			const ofItem = remembered.get(itemIndex) ?? new Map<number, Entry>();
			remembered.set(itemIndex, ofItem.set(jobNumber, entry));
		}
		return remembered;
	}

	/** Does what takes time beforehand: nothing may be left to go wrong once the API has answered. */
	prepare(itemIndex: number): void {
		this.#guardOf(itemIndex);
	}

	/** Remembers, the moment the API has answered. */
	record(slot: JobSlot, entry: Entry): void {
		this.#entries[this.#place(slot)] = { ...entry, guard: this.#guardOf(slot.itemIndex) };
	}

	/** Remembers that a job has failed. */
	recordFailure(slot: JobSlot): void {
		const entry = this.#entries[this.#place(slot)];
		if (entry && 'jobId' in entry) entry.hasFailed = true;
	}

	/** Forgets the whole run; only for one that ended without an error item. */
	clear(): void {
		const prefix = `${this.#runIndex}:`;
		for (const place of Object.keys(this.#entries)) {
			if (place.startsWith(prefix)) Reflect.deleteProperty(this.#entries, place);
		}
	}

	#place({ itemIndex, jobNumber }: JobSlot): string {
		return `${this.#runIndex}:${itemIndex}:${jobNumber}`;
	}
}

/** Form fields beyond the declared ones, as written. Added and left empty, the option changes nothing. */
function additionalFieldsOf({ options }: INodeParameters): unknown {
	const written = (options as IDataObject | undefined)?.additionalFields;
	return typeof written === 'string' && /^\s*(\{\s*\}\s*)?$/.test(written) ? undefined : written;
}

/** The files that n8n keeps in the JSON get other IDs from the first run to the retry. */
function withoutFiles(json: IDataObject | undefined): unknown {
	try {
		return { ...json, [COMBINED_BINARY_KEY]: undefined };
	} catch {
		return undefined;
	}
}

/**
 * A hash of what n8n saves of a value, whatever it holds: items that cannot be written as JSON, since
 * they refer to themselves for instance, are all alike. It never throws.
 */
function hashOf(value: unknown): string {
	let text: string;
	try {
		// In a list, since nothing at all has no text.
		text = JSON.stringify([value], withoutPlace);
	} catch {
		text = 'cannot be written';
	}
	return createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
}

/** Where a file lies says nothing about what it is. */
function withoutPlace(_: string, value: unknown): unknown {
	return typeof value === 'string' ? value.replace(FILE_ID, '$1') : value;
}
