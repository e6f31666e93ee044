import type { IDataObject, INode } from 'n8n-workflow';
import { NodeApiError, NodeOperationError } from 'n8n-workflow';

import { withDefined, type Failure } from '../../failure';
import { rendered, type Circumstances } from '../../messages';
import type { OutputItem } from './item';

/** The machine-readable part of a failure, in the API's own names. */
function dataOf({ facts }: Failure, { ownJobIds }: Circumstances): IDataObject {
	return withDefined({
		job_number: facts.jobNumber,
		job_count: facts.jobCount,
		job_id: facts.jobId ?? ownJobIds[0],
		status: facts.status,
		image_urls: facts.imageUrls && [...facts.imageUrls],
		http_status: facts.httpStatus,
	});
}

/**
 * The item that stands for a failed one under continue-on-error: a single key `error` that holds an
 * object. Every n8n version sends just that shape to the error output with its data; a second key would
 * send it down the success output on older ones.
 *
 * @param itemIndex names the item in the message; undefined where that says nothing
 */
export function errorItem(
	failure: Failure,
	circumstances: Circumstances,
	itemIndex: number | undefined,
): OutputItem {
	const { message, description } = rendered(failure, circumstances);
	const isNumbered = itemIndex !== undefined && !failure.facts.concernsAllItems;
	return {
		json: {
			error: {
				message: isNumbered ? `${message} [Item ${itemIndex}]` : message,
				description,
				...dataOf(failure, circumstances),
			},
		},
	};
}

/**
 * What a node throws. n8n adds the item's number to the message itself.
 *
 * @param itemIndex undefined when the failure is not about a single item
 */
export function nodeError(
	node: INode,
	failure: Failure,
	circumstances: Circumstances,
	itemIndex?: number,
): NodeApiError | NodeOperationError {
	const { message, description } = rendered(failure, circumstances);
	const { ownJobIds, otherJobIds } = circumstances;
	const { httpStatus } = failure.facts;
	const own = dataOf(failure, circumstances);
	const running = [...ownJobIds, ...otherJobIds].filter((jobId) => jobId !== own.job_id);
	const data = { ...own, ...(running.length === 0 ? {} : { running_job_ids: running }) };
	const item = withDefined({ itemIndex });
	const error =
		httpStatus === undefined
			? new NodeOperationError(node, message, { description, ...item })
			: new NodeApiError(
					node,
					{ message, description },
					{ message, description, httpCode: String(httpStatus), ...item },
				);
	// n8n replaces a message in which it finds a code of Node.js, be it in a word of the user's.
	error.message = message;
	// n8n's panel shows whatever is there, an empty object too.
	if (Object.keys(data).length > 0) error.context.data = data;
	return error;
}
