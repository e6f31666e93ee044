import type { ITaskData } from 'n8n-workflow';

import type { Day } from './day';
import type { SubmitVerdict } from './faults';
import { itemsIn, STOPPED, type Execution } from './n8n';
import { rootOf, type Played } from './run';
import type { Post } from './service';
import { endpointOf, sendsFile } from './workflow';

/** What n8n shows of an error. */
export interface ShownError {
	message: string;
	description?: string;
	context?: { itemIndex?: number; data?: Record<string, unknown> };
}

/** How long n8n's database takes, at most, to write down what came of a request. */
const WRITTEN_WITHIN_MS = 30;

export const NODES = ['Node', 'Second'] as const;

/** A POST, with the job that it is to start: a node's, in one round, for one item. */
export interface Sent extends Post {
	round: number;
	/** How often the prompt had been edited: another text is other work. */
	edition: number;
	verdict: SubmitVerdict;
	execution: Execution;
}

/** A run of a node that an execution did itself. */
export interface NodeRun {
	execution: Execution;
	node: string;
	run: ITaskData;
	round: number;
}

/**
 * The day as the service's books have it: every POST, with the execution it came from.
 */
export class Books {
	readonly day: Day;
	readonly executions: Execution[];
	readonly sent: Sent[];

	constructor(readonly played: Played) {
		this.day = played.day;
		this.executions = played.n8n.executions;
		const { requests } = played.service.emulator;
		this.sent = requests
			.filter(({ method, form }) => method === 'POST' && form !== undefined)
			.flatMap((request) => {
				const post = played.service.postOf(request);
				const execution = this.executions.findLast(
					({ id, startedAtMs }) => id === post.executionId && startedAtMs <= request.startedAtMs,
				);
				if (!execution) return [];
				const round = post.runIndex - artificialRuns(execution, post.node).length;
				const verdict = this.#verdictOf(post, execution);
				return [{ ...post, verdict, execution, round, edition: 0 }];
			});
		for (const post of this.sent) post.edition = this.editionOf(post.execution, post.node);
	}

	/** Every run of a node of ours. */
	get runs(): NodeRun[] {
		return this.executions.flatMap((execution) =>
			NODES.flatMap((node) => this.runsOf(execution, node)),
		);
	}

	#verdictOf({ request }: Post, execution: Execution): SubmitVerdict {
		const lostAtMs = Math.min(
			execution.ending === 'crashed' ? execution.endedAtMs - WRITTEN_WITHIN_MS : Infinity,
			execution.stoppedAtMs ?? Infinity,
		);
		const said = this.played.service.verdictOf(request, lostAtMs);
		// Of two executions that were alike, and had files, nobody knows after a crash which is whose.
		const { beside, circularItems } = this.day;
		const hasTwins = beside !== undefined && (beside.equal || circularItems) && sendsFile(this.day);
		return lostAtMs < Infinity && hasTwins && said === 'started' ? 'lost' : said;
	}

	/**
	 * Tells other work from the same: how often the prompt had been edited when an execution began. A job
	 * that replaces a failed one changes what the next node gets.
	 */
	editionOf(execution: Execution, node: string): number {
		const { prompt, variations } = execution.workflow.edits;
		const edition = endpointOf(this.day.endpoint).words === undefined ? 0 : prompt;
		if (node !== 'Second') return edition;
		const known = this.sameWork(execution);
		const before = this.sent.filter(
			(post) => post.node === 'Node' && known.includes(post.execution),
		);
		return before.length + 1000 * variations + 10_000 * edition;
	}

	/** The executions whose jobs this one has to know. */
	sameWork(execution: Execution): Execution[] {
		// Two retries at once cannot know of each other.
		const { startedAtMs } = execution;
		return this.executions.filter(
			(each) =>
				each === execution || (rootOf(each) === rootOf(execution) && each.endedAtMs <= startedAtMs),
		);
	}

	/** The executions of the same work that ran beside this one: they could not know of each other. */
	beside(execution: Execution): Execution[] {
		return this.executions.filter(
			(each) =>
				each !== execution &&
				rootOf(each) === rootOf(execution) &&
				each.startedAtMs < execution.endedAtMs &&
				each.endedAtMs > execution.startedAtMs,
		);
	}

	/**
	 * The executions whose jobs this one may deliver. After a crash nothing tells two apart that a trigger
	 * started with the same data, unless there are files. Data that cannot be written as JSON is all the same.
	 */
	mayDeliver(execution: Execution): Execution[] {
		const { beside, circularItems, files } = this.day;
		// A URL leads to the same file.
		const isInterchangeable = files === 'url' || !sendsFile(this.day);
		const areAlike = (beside?.equal === true || circularItems) && isInterchangeable;
		return areAlike ? this.executions : this.sameWork(execution);
	}

	/** The POSTs that an execution has to know. */
	sentFor(execution: Execution): Sent[] {
		const known = this.sameWork(execution);
		return this.sent.filter((post) => known.includes(post.execution));
	}

	runsOf(execution: Execution, node: string): NodeRun[] {
		const artificial = artificialRuns(execution, node).length;
		return (execution.result?.resultData.runData[node] ?? [])
			.map((run, runIndex) => ({ execution, node, run, round: runIndex - artificial }))
			.slice(execution.before[node]?.length ?? 0);
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

export function slotOf({ node, round, itemIndex, edition }: Sent): string {
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
