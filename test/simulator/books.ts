import type { INodeExecutionData, IPairedItemData, ITaskData } from 'n8n-workflow';

import type { RequestRecord } from '../emulator/emulator';
import type { Day } from './day';
import type { SubmitVerdict } from './faults';
import { itemsIn, STOPPED, type Execution } from './n8n';
import { rootOf, type Played } from './run';
import { endpointOf, SENDER, sendsFile } from './workflow';

/** What n8n shows of an error. */
export interface ShownError {
	message: string;
	description?: string;
	/** On an error item. */
	job_id?: string;
	context?: { itemIndex?: number; data?: Record<string, unknown> };
}

/** How long n8n's database takes, at most, to write down what came of a request. */
const WRITTEN_WITHIN_MS = 30;

export const NODES = ['Node', 'Second'] as const;

/** A paid POST as the service has it in its books, with who sent it. */
export type Sent = NonNullable<ReturnType<Books['sentBy']>>;

/** The day as the service's books have it: every POST, with the execution it came from. */
export class Books {
	readonly day: Day;
	readonly executions: Execution[];
	readonly sent: Sent[];

	constructor(readonly played: Played) {
		this.day = played.day;
		this.executions = played.n8n.executions;
		const { requests } = played.service.emulator;
		this.sent = requests.flatMap((request) => this.sentBy(request) ?? []);
		for (const post of this.sent) post.edition = this.editionOf(post.execution, post.node);
	}

	sentBy(request: RequestRecord) {
		const { form, jobId, startedAtMs } = request;
		const [node = '', id, run, item] = form?.fields[SENDER]?.split('|') ?? [];
		const attempts = this.executions.filter((each) => each.id === id);
		// The one that n8n 1 runs again may begin in the same millisecond.
		const execution = attempts.find((each) => startedAtMs <= each.endedAtMs) ?? attempts.at(-1);
		if (!execution) return undefined;
		const job = this.played.service.emulator.jobs.find(jobId ?? '');
		return {
			request,
			execution,
			node,
			round: Number(run) - artificialRuns(execution, node).length,
			itemIndex: Number(item),
			/** How often the prompt had been edited: another text is other work. */
			edition: 0,
			verdict: this.#verdictOf(request, execution),
			jobId,
			hasFailed: job?.outcome.status === 'Failed',
		};
	}

	/** Every run of a node of ours that an execution did itself. */
	get runs() {
		return this.executions.flatMap((execution) =>
			NODES.flatMap((node) => this.runsOf(execution, node)),
		);
	}

	/** Whether two executions began alike. Data that cannot be written as JSON is all the same. */
	get hasTwins(): boolean {
		const { beside, circularItems } = this.day;
		return beside !== undefined && (beside.equal || circularItems === true);
	}

	/** Whether one of two that began alike may have taken a request back: what the other sent is unknown then. */
	get isMixedUp(): boolean {
		const isTakenBack = this.sent.some(({ verdict }) => verdict === 'refused');
		return this.hasTwins && (isTakenBack || this.executions.some(({ stoppedAtMs }) => stoppedAtMs));
	}

	#verdictOf(request: RequestRecord, execution: Execution): SubmitVerdict {
		const lostAtMs = Math.min(
			execution.ending === 'crashed' ? execution.endedAtMs - WRITTEN_WITHIN_MS : Infinity,
			execution.stoppedAtMs ?? Infinity,
		);
		const said = this.played.service.verdictOf(request, lostAtMs);
		// Of twins with files nobody knows after a crash which is whose.
		const isForeign = lostAtMs < Infinity && this.hasTwins && sendsFile(this.day);
		return isForeign && said === 'started' ? 'lost' : said;
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

	/** The executions whose jobs this one may deliver: after a crash only files tell twins apart. */
	mayDeliver(execution: Execution): Execution[] {
		// A URL leads to the same file.
		const hasOwnFiles = this.day.files !== 'url' && sendsFile(this.day);
		return this.hasTwins && !hasOwnFiles
			? this.executions
			: [...this.sameWork(execution), ...this.beside(execution)];
	}

	/** The POSTs that an execution has to know. */
	sentFor(execution: Execution): Sent[] {
		const known = this.sameWork(execution);
		return this.sent.filter((post) => known.includes(post.execution));
	}

	runsOf(execution: Execution, node: string) {
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
	errorItems(execution: Execution, node: string) {
		const items = this.runsOf(execution, node).flatMap(({ run }) => itemsIn(run));
		return items.flatMap((item) => {
			const { error } = item.json;
			if (!error || typeof error !== 'object') return [];
			return [{ itemIndex: itemOf(item), error: error as object as ShownError }];
		});
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

export function itemOf({ pairedItem }: INodeExecutionData): number {
	const [first] = [pairedItem].flat() as (IPairedItemData | undefined)[];
	return first?.item ?? -1;
}

export function textOf({ message, description = '' }: ShownError): string {
	return `${message} ${description}`;
}
