import type { IDataObject, INode, INodeExecutionData } from 'n8n-workflow';
import { NodeApiError, NodeOperationError } from 'n8n-workflow';

/** What a {@link Failure} knows; everything past the two texts is for workflows to read. */
interface FailureFacts {
	/** What happened. */
	message: string;
	/** What to do. */
	description: string;
	/** The job that was paid for. */
	jobId?: string;
	/** The last status that the API gave for the job. */
	status?: string;
	imageUrls?: readonly string[];
	httpStatus?: number;
	/** Which of an item's jobs it is, if the item starts several. */
	jobNumber?: number;
	jobCount?: number;
	/** Whether every other item would meet the same, so that nothing more is worth sending. */
	concernsAllItems?: boolean;
	/** Whether a job may exist, and be charged, although no job ID came back. */
	outcomeUnknown?: boolean;
}

/** The one class of what goes wrong for an item. n8n's own error classes are made from it at the end. */
export class Failure extends Error {
	readonly facts: Readonly<FailureFacts>;

	constructor(facts: FailureFacts) {
		super(facts.message);
		this.name = 'Failure';
		this.facts = facts;
	}

	/** The same with facts that were not known where it arose. */
	with(facts: Partial<FailureFacts>): Failure {
		return new Failure({ ...this.facts, ...facts });
	}

	/** All that a person reads of it. */
	get text(): string {
		return `${this.message} ${this.facts.description}`;
	}

	/** The same for the items that meet it unsent. */
	withoutJob(): Failure {
		const { message, description, httpStatus } = this.facts;
		return new Failure({
			message,
			description,
			...(httpStatus === undefined ? {} : { httpStatus }),
			concernsAllItems: true,
		});
	}

	/** For a tool of an AI agent: n8n 2.40 tells the agent's model the message alone. */
	forModel(): Failure {
		return this.with({ message: `${this.message}. ${this.facts.description}`, description: '' });
	}
}

/** The most that a text repeats of what users, servers, and n8n have written. */
const LONGEST_EXCERPT = 200;
/** n8n's descriptions are whole sentences of advice. */
const LONGEST_DESCRIPTION = 400;

/** The start of a text that may be of any length, in whole characters. */
export function excerpt(text: string, longest = LONGEST_EXCERPT): string {
	if (text.length <= longest) return text;
	return `${text.slice(0, longest - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Anything that is thrown, as a failure: n8n's own, of an expression say, keep their words. */
export function asFailure(error: unknown): Failure {
	if (error instanceof Failure) return error;
	const { message, description } = error as { message?: unknown; description?: unknown };
	return new Failure({
		message: excerpt(typeof message === 'string' ? message : String(error)),
		description: typeof description === 'string' ? excerpt(description, LONGEST_DESCRIPTION) : '',
	});
}

/** The machine-readable part of a failure, in the API's own names. */
function dataOf({ facts }: Failure): IDataObject {
	return {
		...(facts.jobNumber === undefined ? {} : { job_number: facts.jobNumber }),
		...(facts.jobCount === undefined ? {} : { job_count: facts.jobCount }),
		...(facts.jobId === undefined ? {} : { job_id: facts.jobId }),
		...(facts.status === undefined ? {} : { status: facts.status }),
		...(facts.imageUrls === undefined ? {} : { image_urls: [...facts.imageUrls] }),
		...(facts.httpStatus === undefined ? {} : { http_status: facts.httpStatus }),
	};
}

/**
 * The item that stands for a failed one under continue-on-error: a single key `error` that holds an
 * object. Every n8n version sends just that shape to the error branch with its data; a second key
 * would send it down the success branch on older ones.
 *
 * @param itemIndex names the item in the message; undefined where that says nothing
 */
export function toErrorItem(failure: Failure, itemIndex: number | undefined): INodeExecutionData {
	const isNumbered = itemIndex !== undefined && !failure.facts.concernsAllItems;
	return {
		json: {
			error: {
				message: isNumbered ? `${failure.message} [Item ${itemIndex}]` : failure.message,
				description: failure.facts.description,
				...dataOf(failure),
			},
		},
	};
}

/**
 * What a node throws. n8n adds the item's number to the message itself. The messages stay free of
 * codes such as ECONNRESET, since n8n replaces a message that holds one by a general sentence.
 *
 * @param itemIndex undefined when the failure is not about a single item
 * @param otherJobIds paid jobs of other items, for the data of the error
 */
export function toNodeError(
	node: INode,
	failure: Failure,
	itemIndex?: number,
	otherJobIds: readonly string[] = [],
): NodeApiError | NodeOperationError {
	const { message } = failure;
	const { description, httpStatus } = failure.facts;
	const data = {
		...dataOf(failure),
		...(otherJobIds.length === 0 ? {} : { running_job_ids: [...otherJobIds] }),
	};
	const item = itemIndex === undefined ? {} : { itemIndex };
	const error =
		httpStatus === undefined
			? new NodeOperationError(node, message, { description, ...item })
			: new NodeApiError(
					node,
					{ message, description },
					{ message, description, httpCode: String(httpStatus), ...item },
				);
	// n8n's panel shows whatever is there, an empty object too.
	if (Object.keys(data).length > 0) error.context.data = data;
	return error;
}
