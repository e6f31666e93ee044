import type { Fault, FaultPlace } from '../emulator/emulator';

/** What becomes of an item, as a person or a workflow can tell. */
export type Outcome =
	/** Its image comes out. */
	| 'succeeded'
	/** A job may exist and be charged. */
	| 'outcomeUnknown'
	/** No job exists, and the reason is said. */
	| 'rejected'
	| 'rateLimited'
	| 'unreachable'
	| 'misdirected'
	/** Wrong key, account gone, no credits, no permission. */
	| 'account'
	/** The job is paid for and named. */
	| 'timedOut'
	| 'statusCheckRejected'
	| 'downloadFailed';

/** What becomes of an item, and what that may cost. */
export interface Rule {
	outcome: Outcome;
	/** Jobs that the API accepts for the item, and charges. */
	accepted: number;
	/** How often the paid POST may come in for the item: at least and at most. */
	posts: readonly [number, number];
}

interface Rules {
	/** When the fault strikes one request. */
	once: Rule;
	/** When it strikes all; absent where the first strike ends the item, so that there is no second. */
	always?: Rule;
}

function rule(outcome: Outcome, accepted: number, posts: number, mostPosts = posts): Rule {
	return { outcome, accepted, posts: [posts, mostPosts] };
}

/** After its submit an item has cost one job, and nothing may make it cost another. */
function paid(outcome: Outcome): Rule {
	return rule(outcome, 1, 1);
}

const UNKNOWN_AND_FREE = { once: rule('outcomeUnknown', 0, 1) };
const UNKNOWN_AND_CHARGED = { once: rule('outcomeUnknown', 1, 1) };
const TRANSIENT_POLL = { once: paid('succeeded'), always: paid('timedOut') };
const RETRIED_DOWNLOAD = { once: paid('succeeded'), always: paid('downloadFailed') };
const FINAL_DOWNLOAD = { once: paid('downloadFailed') };
/** The answer is as good as any. */
const HARMLESS = { once: paid('succeeded') };

/** What a fault may lead to and cost, by its kind and place; absent: it is not put there. */
export const RULES = {
	/** 429: the API has refused the POST, so that it may be sent again, for 90 seconds. */
	rateLimit: {
		submit: { once: rule('succeeded', 1, 2), always: rule('rateLimited', 0, 2, 9) },
		poll: TRANSIENT_POLL,
		download: RETRIED_DOWNLOAD,
	},
	/** No connection is established. */
	unconnected: {
		submit: { once: rule('succeeded', 1, 1), always: rule('unreachable', 0, 0) },
		poll: TRANSIENT_POLL,
		download: RETRIED_DOWNLOAD,
	},
	/** The server may have seen the request: a POST is never sent again, a GET may be. */
	ambiguous: { submit: UNKNOWN_AND_FREE, poll: TRANSIENT_POLL, download: RETRIED_DOWNLOAD },
	/** The same to the node, but the job was started. */
	ambiguousAfterWork: { submit: UNKNOWN_AND_CHARGED },
	/** The job was started, and its answer breaks off. */
	brokenOff: { submit: UNKNOWN_AND_CHARGED, poll: TRANSIENT_POLL, download: RETRIED_DOWNLOAD },
	/** All of the JSON is there; of a file nobody can tell. */
	cutAtTheEnd: { submit: HARMLESS, poll: HARMLESS, download: RETRIED_DOWNLOAD },
	/** Not JSON; but whatever comes as a result is kept by its Content-Type. */
	garbage: { submit: UNKNOWN_AND_FREE, poll: TRANSIENT_POLL, download: HARMLESS },
	/** Cut off by the node where it is too large. */
	endless: { submit: UNKNOWN_AND_FREE, poll: TRANSIENT_POLL, download: FINAL_DOWNLOAD },
	/** Too large for an answer, but not for a picture. */
	large: { submit: UNKNOWN_AND_CHARGED, poll: TRANSIENT_POLL, download: HARMLESS },
	/** 425 says nothing about the account or the job, and is not among those a download is retried for. */
	tooEarly: {
		submit: { once: rule('rejected', 0, 1) },
		poll: TRANSIENT_POLL,
		download: FINAL_DOWNLOAD,
	},
	/** The API says what is wrong with this request. */
	refusal: {
		submit: { once: rule('rejected', 0, 1) },
		poll: { once: paid('statusCheckRejected') },
		download: FINAL_DOWNLOAD,
	},
	/** The key never follows a redirect; results may. */
	redirect: {
		submit: { once: rule('misdirected', 0, 1) },
		poll: TRANSIENT_POLL,
		download: RETRIED_DOWNLOAD,
	},
	account: {
		submit: { once: rule('account', 0, 1) },
		poll: { once: paid('account') },
		download: FINAL_DOWNLOAD,
	},
	/** As `account`, with a status that a CDN gives for a while when it lags behind. */
	accountOrLag: {
		submit: { once: rule('account', 0, 1) },
		poll: { once: paid('account') },
		download: RETRIED_DOWNLOAD,
	},
} as const satisfies Record<string, Partial<Record<FaultPlace, Rules>>>;

/** What replaces or damages an answer, without where and how often. */
type FaultBody = Fault extends infer F
	? F extends Fault
		? Omit<F, 'at' | 'times' | 'match'>
		: never
	: never;

export interface FaultCase {
	name: string;
	kind: keyof typeof RULES;
	/** `refused`: not a fault of the emulator, but a port that nobody listens on. */
	fault: FaultBody | 'refused';
	/** The pause that the server asks for. */
	retryAfterMs?: number;
}

/** Stands for the second origin where the API redirects, and for the API where a result does. */
export const ANOTHER_ORIGIN = 'http://another.origin';

const RETRY_AFTER_MS = 7000;
const inSeconds = { 'retry-after': '7' };
const asDate = (nowMs: number) => ({
	'retry-after': new Date(nowMs + RETRY_AFTER_MS).toUTCString(),
});

/** What a server that lists the request's headers in its error page would say. */
const ECHO = (key: string) =>
	`<html><body>Bad gateway. Your request: Authorization: Bearer ${key}</body></html>`;

function respond(
	status: number,
	detail: string,
	headers?: Extract<FaultBody, { kind: 'respond' }>['headers'],
): FaultBody {
	return { kind: 'respond', status, body: { detail }, ...(headers ? { headers } : {}) };
}

/** Every fault, apart from where it strikes and how often; the first of each kind stands for it. */
export function faultCases(key: string): FaultCase[] {
	return [
		{ name: 'reset', kind: 'ambiguous', fault: { kind: 'reset' } },
		{ name: 'stall', kind: 'ambiguous', fault: { kind: 'stall' } },
		{ name: '500', kind: 'ambiguous', fault: respond(500, 'Internal Server Error') },
		{ name: '504 HTML', kind: 'ambiguous', fault: { kind: 'html', status: 504 } },
		{ name: '408', kind: 'ambiguous', fault: respond(408, 'Request Timeout') },
		{ name: 'HTML with 200', kind: 'ambiguous', fault: { kind: 'html' } },
		{
			name: '503, Retry-After in seconds',
			kind: 'ambiguous',
			fault: respond(503, 'Overloaded', inSeconds),
			retryAfterMs: RETRY_AFTER_MS,
		},
		{
			name: '502 that repeats the request',
			kind: 'ambiguous',
			fault: { kind: 'respond', status: 502, body: ECHO(key) },
		},
		{
			name: '200 that repeats the request',
			kind: 'ambiguous',
			fault: { kind: 'respond', status: 200, body: ECHO(key) },
		},
		{
			name: 'reset, after accepting',
			kind: 'ambiguousAfterWork',
			fault: { kind: 'reset', when: 'accepted' },
		},
		{
			name: '500, after accepting',
			kind: 'ambiguousAfterWork',
			fault: { kind: 'respond', status: 500, when: 'accepted' },
		},
		{ name: 'garbage', kind: 'garbage', fault: { kind: 'garbage' } },
		{ name: 'truncation', kind: 'brokenOff', fault: { kind: 'truncate' } },
		{ name: 'truncation, chunked', kind: 'brokenOff', fault: { kind: 'truncate', chunked: true } },
		{ name: 'stalling body', kind: 'brokenOff', fault: { kind: 'stallBody' } },
		{
			name: 'cut behind the body',
			kind: 'cutAtTheEnd',
			fault: { kind: 'truncate', whole: true },
		},
		{ name: 'endless body', kind: 'endless', fault: { kind: 'endlessBody' } },
		{ name: '50 MB', kind: 'large', fault: { kind: 'hugeBody', megabytes: 50 } },
		{ name: '400', kind: 'refusal', fault: respond(400, 'Invalid image file') },
		{ name: '401', kind: 'account', fault: respond(401, 'Invalid API key') },
		{ name: '402', kind: 'account', fault: respond(402, 'Insufficient credits') },
		{ name: '403', kind: 'accountOrLag', fault: respond(403, 'Forbidden') },
		{ name: 'account gone', kind: 'accountOrLag', fault: respond(404, 'Not Found User') },
		{ name: '425', kind: 'tooEarly', fault: respond(425, 'Too Early') },
		{ name: '429', kind: 'rateLimit', fault: respond(429, 'Slow down') },
		{
			name: '429, Retry-After in seconds',
			kind: 'rateLimit',
			fault: respond(429, 'Slow down', inSeconds),
			retryAfterMs: RETRY_AFTER_MS,
		},
		{
			name: '429, Retry-After as a date',
			kind: 'rateLimit',
			fault: respond(429, 'Slow down', asDate),
			// A date has whole seconds.
			retryAfterMs: RETRY_AFTER_MS - 1000,
		},
		{ name: 'refused', kind: 'unconnected', fault: 'refused' },
		{
			name: 'redirect to another origin',
			kind: 'redirect',
			fault: { kind: 'redirect', to: ANOTHER_ORIGIN },
		},
		{ name: 'redirect in circles', kind: 'redirect', fault: { kind: 'redirect', to: 'itself' } },
	];
}

/** How an outcome shows: its words, and what a workflow can read from its data. */
export const SIGNS: Record<Exclude<Outcome, 'succeeded'>, { text: RegExp[]; data: string[] }> = {
	outcomeUnknown: {
		text: [/not known whether AetherForge started the job/, /may exist and be charged/],
		data: [],
	},
	rejected: { text: [/did not accept/, /nothing was charged/], data: ['http_status'] },
	rateLimited: { text: [/is rate limiting/, /nothing was charged/], data: ['http_status'] },
	unreachable: { text: [/cannot be reached/, /nothing was charged/, /ECONNREFUSED/], data: [] },
	misdirected: { text: [/redirects to another URL/], data: ['http_status'] },
	account: { text: [/API key|account/], data: ['http_status'] },
	timedOut: {
		text: [
			/is not finished after|could not be (checked|read)/,
			/last status check did not work|no usable response/,
			/Get Job|Try again later/,
		],
		data: ['job_id'],
	},
	statusCheckRejected: {
		text: [/rejected the status check for job/, /Get Job/],
		data: ['job_id', 'http_status'],
	},
	downloadFailed: {
		text: [/could not be downloaded/, /has been charged/, /Get Job/],
		data: ['job_id', 'image_urls', 'status'],
	},
};
