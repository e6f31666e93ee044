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
}

/** The machine-readable part of a failure, in the API's own names (contract.md, Output). */
function dataOf({ facts }: Failure): IDataObject {
	return {
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
 */
export function toErrorItem(
	failure: Failure,
	itemIndex: number,
	itemCount: number,
): INodeExecutionData {
	const isOneOfMany = itemCount > 1 && !failure.facts.concernsAllItems;
	return {
		json: {
			error: {
				message: isOneOfMany ? `${failure.message} [Item ${itemIndex}]` : failure.message,
				description: failure.facts.description,
				...dataOf(failure),
			},
		},
		pairedItem: { item: itemIndex },
	};
}

/**
 * What a node throws. n8n adds the item's number to the message itself. The texts stay free of codes such as ECONNRESET in the message, since n8n
 * replaces a message that holds one by a general sentence of its own.
 *
 * @param runningJobIds paid jobs of other items, for the data of the error
 */
export function toNodeError(
	node: INode,
	failure: Failure,
	itemIndex: number,
	runningJobIds: readonly string[] = [],
): NodeApiError | NodeOperationError {
	const { message } = failure;
	const { description, httpStatus } = failure.facts;
	const data = {
		...dataOf(failure),
		...(runningJobIds.length === 0 ? {} : { running_job_ids: [...runningJobIds] }),
	};
	const error =
		httpStatus === undefined
			? new NodeOperationError(node, message, { description, itemIndex })
			: new NodeApiError(
					node,
					{ message, description },
					{
						message,
						description,
						httpCode: String(httpStatus),
						itemIndex,
					},
				);
	error.context.data = data;
	return error;
}
