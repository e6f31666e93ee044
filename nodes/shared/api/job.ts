import { isRecord } from './answer';

/** A job as the API describes it (GET /public/v1/job/{job_id}). */
export interface JobState {
	jobId: string;
	/** `Pending`, `Succeed`, `Failed`, or whatever else the API says one day. */
	status: string;
	imageUrls: readonly string[];
	/** Why a failed job failed; not documented, seen by one public client. */
	errorMessage?: string;
}

/** Any other status, also one that is not documented, means that the job is still running. */
export function isFinished(status: string): boolean {
	return status === 'Succeed' || status === 'Failed';
}

/** The API's job IDs are UUIDs; anything else gets a 422 (docs/api.md). */
export function isJobId(text: string): boolean {
	return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text);
}

/** The ID in the answer to a submit. It becomes part of a URL, so not every text will do. */
export function jobIdFrom(body: unknown): string | undefined {
	const jobId = isRecord(body) ? body.job_id : undefined;
	return typeof jobId === 'string' && /^[\w-]{1,128}$/.test(jobId) ? jobId : undefined;
}

/** @returns undefined when the body describes no job */
export function jobStateFrom(body: unknown, jobId: string): JobState | undefined {
	if (!isRecord(body) || typeof body.status !== 'string') return undefined;
	const { image_urls: urls, status } = body;
	const errorMessage = errorTextOf(body.error_message);
	return {
		jobId,
		status,
		// Documented as a list; a single one without its list is still a result that was paid for.
		imageUrls: (Array.isArray(urls) ? urls : [urls]).flatMap(urlOf),
		...(errorMessage === '' ? {} : { errorMessage }),
	};
}

/** An entry of `image_urls`: documented as a text; one public client has seen objects. */
function urlOf(entry: unknown): string[] {
	if (typeof entry === 'string') return entry === '' ? [] : [entry];
	if (!isRecord(entry)) return [];
	const url = [entry.url, entry.imageUrl, entry.contentUrl].find((at) => typeof at === 'string');
	return url === undefined ? [] : urlOf(url);
}

/** Documented nowhere: a text where it was seen, but it may just as well be an object. */
function errorTextOf(value: unknown): string {
	if (value === undefined || value === null) return '';
	const text = isRecord(value) && typeof value.message === 'string' ? value.message : value;
	return typeof text === 'string' ? text : JSON.stringify(text);
}
