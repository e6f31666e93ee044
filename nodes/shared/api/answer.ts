import { excerpt } from '../failure';

/** A job as the API describes it (GET /public/v1/job/{job_id}). */
export interface JobState {
	jobId: string;
	/** `Pending`, `Succeed`, `Failed`, or whatever else the API says one day. */
	status: string;
	imageUrls: readonly string[];
	/** Why a failed job failed; not documented, seen by one public client. */
	errorMessage?: string;
}

/** How much of what a server says is repeated. */
export const LONGEST_QUOTE = 500;

export function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @returns undefined when the text is not JSON; a byte order mark in front of it is no part of it */
export function parseJson(text: string): unknown {
	try {
		return JSON.parse(text.replace(/^\ufeff/, '')) as unknown;
	} catch {
		return undefined;
	}
}

/** A page says what it is at its start; some patterns take the square of a text's length. */
const LONGEST_START = 4000;

/** The start of a body that is not what was asked for, as one line. */
export function excerptOf(body: string): string {
	const text = body.slice(0, LONGEST_START);
	const title = /<title[^>]*>([^<]*)<\/title>/i.exec(text)?.[1];
	const plain = (title ?? text.replace(/<[^>]*>/g, ' ')).replace(/\s+/g, ' ').trim();
	return plain === '' ? 'an empty response' : excerpt(plain);
}

/**
 * The API's own words: `detail` is a text, or FastAPI's list of what is wrong with which field
 * (422), which becomes "prompt: Field required; ai_model: …".
 */
export function detailOf(text: string): string {
	const body = parseJson(text);
	const detail = isRecord(body) ? body.detail : undefined;
	if (typeof detail === 'string' && detail.trim() !== '') return detail.slice(0, LONGEST_QUOTE);
	if (!Array.isArray(detail)) return excerptOf(text);
	return detail
		.map((entry: unknown) => {
			if (!isRecord(entry)) return String(entry);
			const place = Array.isArray(entry.loc)
				? entry.loc.filter((part) => part !== 'body' && part !== 'path').join('.')
				: '';
			return `${place === '' ? '' : `${place}: `}${String(entry.msg)}`;
		})
		.join('; ')
		.slice(0, LONGEST_QUOTE);
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
