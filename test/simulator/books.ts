import type { ITaskData } from 'n8n-workflow';

import type { Day } from './day';
import type { SubmitVerdict } from './faults';
import { itemsIn, STOPPED, type Execution } from './n8n';
import { rootOf, type Played } from './run';
import type { Post } from './service';
import { ENDPOINT_OF, sendsFile } from './workflow';

/** What n8n shows of an error. */
export interface ShownError {
	message: string;
	description?: string;
	context?: { itemIndex?: number; data?: Record<string, unknown> };
}

export const NODES = ['Node', 'Second'] as const;

/** Which job it is to be: a node's, in one round, for one item. */
export interface Slot {
	node: string;
	round: number;
	itemIndex: number;
	/** How often the prompt had been edited: another text is other work. */
	edition: number;
}

export interface Sent extends Post, Slot {
	verdict: SubmitVerdict;
	execution: Execution;
}

/**
 * The day as the service's books have it: every POST, with the execution it came from. What the code
 * cannot promise yet is forgotten where n8n forgets it.
 */
export class Books {
	readonly day: Day;
	readonly executions: Execution[];
	readonly sent: Sent[];
	readonly #promisesAll: boolean;

	/** @param promisesAll whether a crash, Stop, and a second retry of the same execution count */
	constructor(
		readonly played: Played,
		promisesAll: boolean,
	) {
		this.day = played.day;
		this.executions = played.n8n.executions;
		this.#promisesAll = promisesAll;
		const { requests } = played.service.emulator;
		this.sent = requests
			.filter(({ method, form }) => method === 'POST' && form !== undefined)
			.flatMap((request) => {
				const post = played.service.postOf(request);
				const execution = this.executions.findLast(
					({ id, startedAtMs }) => id === post.executionId && startedAtMs <= request.startedAtMs,
				);
				if (!execution) return [];
				const { node, runIndex, itemIndex } = post;
				const round = runIndex - artificialRuns(execution, node).length;
				const edition = editionOf(this.day, execution, node);
				const lostAtMs = Math.min(
					execution.ending === 'crashed' ? execution.endedAtMs : Infinity,
					execution.stoppedAtMs ?? Infinity,
				);
				const verdict = played.service.verdictOf(request, lostAtMs);
				return [{ ...post, verdict, execution, node, round, itemIndex, edition }];
			});
	}

	/** The executions whose jobs this one has to know. */
	sameWork(execution: Execution): Execution[] {
		if (this.#promisesAll) {
			// Two retries at once cannot know of each other.
			const { startedAtMs } = execution;
			return this.executions.filter(
				(each) =>
					each === execution ||
					(rootOf(each) === rootOf(execution) && each.endedAtMs <= startedAtMs),
			);
		}
		const before = execution.retryOf ?? execution.isRerunOf;
		const earlier = before ? this.sameWork(before) : [];
		return [execution, ...earlier.filter((each) => !this.isForgotten(each))];
	}

	/**
	 * The executions whose jobs this one may deliver. After a crash nothing tells two apart that a trigger
	 * started with the same data, unless there are files.
	 */
	mayDeliver(execution: Execution): Execution[] {
		const areAlike = this.#promisesAll && this.day.beside?.equal && !sendsFile(this.day);
		return areAlike ? this.executions : this.sameWork(execution);
	}

	/** Whether n8n keeps nothing of what an execution did: only of what it began with. */
	isForgotten({ ending }: Execution): boolean {
		return ending === 'crashed' || (ending === 'stopped' && !this.day.keepsStopped);
	}

	/** The POSTs that an execution has to know, by slot. */
	slotsOf(execution: Execution): Map<string, Sent[]> {
		const known = this.sameWork(execution);
		const slots = new Map<string, Sent[]>();
		for (const post of this.sent) {
			if (!known.includes(post.execution)) continue;
			const key = keyOf(post);
			slots.set(key, [...(slots.get(key) ?? []), post]);
		}
		return slots;
	}

	/** The runs of a node that an execution did itself. */
	runsOf({ result, before }: Execution, node: string): { run: ITaskData; runIndex: number }[] {
		return (result?.resultData.runData[node] ?? [])
			.map((run, runIndex) => ({ run, runIndex }))
			.slice(before[node]?.length ?? 0);
	}

	errorOf({ result }: Execution): ShownError | undefined {
		const error = result?.resultData.error as ShownError | undefined;
		return error?.message === STOPPED ? undefined : error;
	}

	/** The errors on the items that a node put out, in one execution. */
	errorItems(execution: Execution, node: string): { itemIndex: number; error: ShownError }[] {
		return this.runsOf(execution, node).flatMap(({ run }) =>
			itemsIn(run).flatMap(({ json, pairedItem }) =>
				typeof json.error === 'object' && json.error !== null
					? [{ itemIndex: itemOf(pairedItem), error: json.error as unknown as ShownError }]
					: [],
			),
		);
	}
}

/** How often a node's prompt had been edited when an execution began. */
export function editionOf(day: Day, { workflow }: Execution, node: string): number {
	const hasWords = node === 'Node' && ENDPOINT_OF[day.endpoint].words !== undefined;
	return hasWords ? workflow.edits.prompt : 0;
}

export function keyOf({ node, round, itemIndex, edition }: Slot): string {
	return `${node}, round ${round}, item ${itemIndex}, edition ${edition}`;
}

/** What n8n made up for runs that a crash cut off. */
export function artificialRuns({ before }: Execution, node: string): ITaskData[] {
	return (before[node] ?? []).filter(
		(run) =>
			run.executionStatus === 'crashed' ||
			itemsIn(run)[0]?.json.isArtificialRecoveredEventItem === true,
	);
}

export function itemOf(pairedItem: unknown): number {
	const [first] = [pairedItem].flat() as ({ item?: number } | number | undefined)[];
	return typeof first === 'number' ? first : (first?.item ?? -1);
}

export function textOf({ message, description = '' }: ShownError): string {
	return `${message} ${description}`;
}
