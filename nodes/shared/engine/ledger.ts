import { createHash } from 'crypto';
import type { IDataObject, IExecuteFunctions, INodeParameters } from 'n8n-workflow';

import { propertiesOf, type Endpoint, type Values } from '../endpoint';
import { COMBINED_BINARY_KEY } from './knownFiles';
import type { JobSlot } from './plan';
import { isTool } from './settings';

/** What the ledger remembers: a paid job, or that a submit's outcome is unknown. */
export type Entry =
	| {
			jobId: string;
			/** The hash of the values that were sent: output items repeat them only if they are known. */
			sent: string;
			/** Milliseconds since the epoch. */
			submittedAtMs: number;
	  }
	| { outcomeUnknown: true };

type StoredEntry = Entry & { guard: string };

/** The ledger's place in the context that n8n saves with the execution. */
const KEY = 'aetherForgeJobs';

const HASH_LENGTH = 32;

/** A limit of its own: where the call stack ends differs from one try to the next. */
const DEEPEST = 1000;

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
 * hold `$now`, and the ID of a webhook's file changes from the first run to the retry.
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
		const stored = isTool(context) ? {} : context.getContext('node');
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
			(guards[itemIndex] ??= hashOf([written, withoutFiles(items[itemIndex]?.json)]));
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

	/** Forgets a job that failed, so that a retry starts a new one. */
	forget(slot: JobSlot): void {
		Reflect.deleteProperty(this.#entries, this.#place(slot));
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

/** The hash by which the ledger knows the values of a request. */
export function hashOfValues(values: Values): string {
	return hashOf(values);
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
		return 'unreadable';
	}
}

/**
 * A hash of anything that an item can hold, the same before and after n8n has saved it as JSON. It
 * never throws: items may refer to themselves, hold BigInts, and have getters and `toJSON`s that do.
 */
function hashOf(value: unknown): string {
	const hash = createHash('sha256');
	const ancestors: object[] = [];
	const add = (part: unknown): void => {
		if (typeof part !== 'object' || part === null) {
			const text = String(part);
			hash.update(`${typeof part} ${text.length} ${text}\n`);
			return;
		}
		const depth = ancestors.indexOf(part);
		if (depth !== -1 || ancestors.length === DEEPEST) {
			hash.update(`ancestor ${depth}\n`);
			return;
		}
		ancestors.push(part);
		hash.update(Array.isArray(part) ? 'list\n' : 'object\n');
		for (const key of Array.isArray(part) ? part.keys() : Object.keys(part)) {
			const inner = asSaved(Reflect.get(part, key));
			if (inner === undefined && !Array.isArray(part)) continue;
			const name = String(key);
			hash.update(`key ${name.length} ${name}\n`);
			add(inner ?? null);
		}
		hash.update('end\n');
		ancestors.pop();
	};
	try {
		add(asSaved(value));
	} catch (error) {
		// What was hashed so far tells as much, and the same each time.
		hash.update(`unreadable ${error instanceof Error ? error.name : ''}`);
	}
	return hash.digest('hex').slice(0, HASH_LENGTH);
}

/**
 * What JSON makes of a value: a date of n8n's, for instance, is an object before and a text after.
 * @returns undefined for what JSON leaves out of an object, and replaces by null in a list
 */
function asSaved(value: unknown): unknown {
	if (typeof value === 'number') return Number.isFinite(value) ? value : null;
	if (typeof value === 'function' || typeof value === 'symbol') return undefined;
	if (typeof value !== 'object' || value === null) return value;
	const { toJSON } = value as { toJSON?: unknown };
	return typeof toJSON === 'function' ? (toJSON.call(value) as unknown) : value;
}
