import type { Fault, FaultPlace } from '../emulator/emulator';
import { PROXY_HTML_PAGE } from '../emulator/faults';

/** What becomes of an item, as a person or a workflow can tell. */
export type Outcome =
	/** Its image comes out. */
	| 'succeeded'
	/** A job may exist and be charged. */
	| 'unclear'
	/** No job exists, and the reason is said. */
	| 'rejected'
	| 'rateLimited'
	| 'unreachable'
	| 'misdirected'
	/** Wrong key, account gone, no credits, no permission. */
	| 'account'
	/** The job is paid for and named. */
	| 'timedOut'
	| 'unknownJob'
	| 'lookUpRejected'
	| 'downloadFailed';

interface Rule {
	/** When the fault strikes one request. */
	once: Outcome;
	/** When it strikes all. */
	always: Outcome;
}

/** What the issue asks for, by the kind of trouble. */
const RULES = {
	/** 429: the API has refused the POST, so that it may be sent again. */
	tooMany: {
		submit: { once: 'succeeded', always: 'rateLimited' },
		poll: { once: 'succeeded', always: 'timedOut' },
		download: { once: 'succeeded', always: 'downloadFailed' },
	},
	/** No connection came about. */
	unconnected: {
		submit: { once: 'succeeded', always: 'unreachable' },
		poll: { once: 'succeeded', always: 'timedOut' },
		download: { once: 'succeeded', always: 'downloadFailed' },
	},
	/** The server may have seen the request: a POST is never sent again, a GET may be. */
	ambiguous: {
		submit: { once: 'unclear', always: 'unclear' },
		poll: { once: 'succeeded', always: 'timedOut' },
		download: { once: 'succeeded', always: 'downloadFailed' },
	},
	/** As `ambiguous`, but a download's time limit is used up before it is known to be none. */
	endless: {
		submit: { once: 'unclear', always: 'unclear' },
		poll: { once: 'succeeded', always: 'timedOut' },
		download: { once: 'downloadFailed', always: 'downloadFailed' },
	},
	/** 425 is no word about the account or the job, and not among those a download is retried for. */
	tooEarly: {
		submit: { once: 'rejected', always: 'rejected' },
		poll: { once: 'succeeded', always: 'timedOut' },
		download: { once: 'downloadFailed', always: 'downloadFailed' },
	},
	/** The API says what is wrong with this request. */
	refusal: {
		submit: { once: 'rejected', always: 'rejected' },
		poll: { once: 'lookUpRejected', always: 'lookUpRejected' },
		download: { once: 'downloadFailed', always: 'downloadFailed' },
	},
	/** The key never follows a redirect; results may. */
	redirect: {
		submit: { once: 'misdirected', always: 'misdirected' },
		poll: { once: 'succeeded', always: 'timedOut' },
		download: { once: 'succeeded', always: 'downloadFailed' },
	},
	account: {
		submit: { once: 'account', always: 'account' },
		poll: { once: 'account', always: 'account' },
		download: { once: 'downloadFailed', always: 'downloadFailed' },
	},
	/** As `account`, with a status that a CDN gives for a while when it lags behind. */
	accountOrLag: {
		submit: { once: 'account', always: 'account' },
		poll: { once: 'account', always: 'account' },
		download: { once: 'succeeded', always: 'downloadFailed' },
	},
	/** A large body: too large for an answer, but not for a picture. */
	large: {
		submit: { once: 'unclear', always: 'unclear' },
		poll: { once: 'succeeded', always: 'timedOut' },
		download: { once: 'succeeded', always: 'succeeded' },
	},
} as const satisfies Record<string, Record<FaultPlace, Rule>>;

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
	/** Absent: everywhere. */
	places?: readonly FaultPlace[];
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
export const ECHO = (key: string) =>
	`<html><body>Bad gateway. Your request: Authorization: Bearer ${key}</body></html>`;

function respond(
	status: number,
	detail: string,
	headers?: Extract<FaultBody, { kind: 'respond' }>['headers'],
): FaultBody {
	return { kind: 'respond', status, body: { detail }, ...(headers ? { headers } : {}) };
}

const BEFORE_OR_AFTER: readonly FaultCase[] = [
	{ name: 'reset', kind: 'ambiguous', fault: { kind: 'reset' } },
	{ name: 'stall', kind: 'ambiguous', fault: { kind: 'stall' } },
	{ name: '500', kind: 'ambiguous', fault: respond(500, 'Internal Server Error') },
	{ name: '503', kind: 'ambiguous', fault: respond(503, 'Overloaded') },
	{ name: '504 HTML', kind: 'ambiguous', fault: { kind: 'html', status: 504 } },
	{ name: '408', kind: 'ambiguous', fault: respond(408, 'Request Timeout') },
	{ name: 'garbage', kind: 'ambiguous', fault: { kind: 'garbage' } },
	{ name: 'HTML with 200', kind: 'ambiguous', fault: { kind: 'html' } },
	{ name: 'endless body', kind: 'endless', fault: { kind: 'endlessBody' } },
];

/** Every fault, apart from where it strikes and how often. */
export function faultCases(key: string): FaultCase[] {
	return [
		...BEFORE_OR_AFTER,
		...BEFORE_OR_AFTER.map((each): FaultCase => ({
			...each,
			name: `${each.name}, after accepting`,
			fault: { ...(each.fault as FaultBody), when: 'accepted' } as FaultBody,
			places: ['submit'],
		})),
		{ name: '400', kind: 'refusal', fault: respond(400, 'Invalid image file') },
		{ name: '401', kind: 'account', fault: respond(401, 'Invalid API key') },
		{ name: '402', kind: 'account', fault: respond(402, 'Insufficient credits') },
		{ name: '403', kind: 'accountOrLag', fault: respond(403, 'Forbidden') },
		{ name: 'account gone', kind: 'accountOrLag', fault: respond(404, 'Not Found User') },
		{ name: '425', kind: 'tooEarly', fault: respond(425, 'Too Early') },
		{ name: '429', kind: 'tooMany', fault: respond(429, 'Slow down') },
		{
			name: '429, Retry-After in seconds',
			kind: 'tooMany',
			fault: respond(429, 'Slow down', inSeconds),
			retryAfterMs: RETRY_AFTER_MS,
		},
		{
			name: '429, Retry-After as a date',
			kind: 'tooMany',
			fault: respond(429, 'Slow down', asDate),
			// A date has whole seconds.
			retryAfterMs: RETRY_AFTER_MS - 1000,
		},
		{
			name: '503, Retry-After in seconds',
			kind: 'ambiguous',
			fault: respond(503, 'Overloaded', inSeconds),
			retryAfterMs: RETRY_AFTER_MS,
		},
		{
			name: '502 HTML',
			kind: 'ambiguous',
			fault: { kind: 'respond', status: 502, body: PROXY_HTML_PAGE },
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
		{ name: 'refused', kind: 'unconnected', fault: 'refused' },
		{ name: 'truncation', kind: 'ambiguous', fault: { kind: 'truncate' } },
		{ name: 'truncation, chunked', kind: 'ambiguous', fault: { kind: 'truncate', chunked: true } },
		{ name: 'stalling body', kind: 'ambiguous', fault: { kind: 'stallBody' } },
		{ name: '50 MB', kind: 'large', fault: { kind: 'hugeBody', megabytes: 50 } },
		{ name: 'redirect', kind: 'redirect', fault: { kind: 'redirect', to: '/elsewhere' } },
		{
			name: 'redirect to another origin',
			kind: 'redirect',
			fault: { kind: 'redirect', to: ANOTHER_ORIGIN },
		},
		{ name: 'redirect in circles', kind: 'redirect', fault: { kind: 'redirect', to: 'itself' } },
	];
}

/** What the issue asks for. */
export function expectedOutcome(
	{ kind }: FaultCase,
	place: FaultPlace,
	times: keyof Rule,
): Outcome {
	return RULES[kind][place][times];
}

/** How an outcome shows: its words, and what a workflow can read from its data. */
export const SIGNS: Record<Exclude<Outcome, 'succeeded'>, { text: RegExp[]; data: string[] }> = {
	unclear: {
		text: [
			/not known whether/,
			/may exist and be charged/,
			/Resubmit When Outcome Is Unknown/,
			/current workflow/,
		],
		data: [],
	},
	rejected: { text: [/did not accept/, /nothing was charged/], data: ['http_status'] },
	rateLimited: { text: [/too many requests/, /nothing was charged/], data: ['http_status'] },
	unreachable: { text: [/cannot be reached/, /nothing was charged/, /ECONNREFUSED/], data: [] },
	misdirected: { text: [/leads to another address/], data: ['http_status'] },
	account: { text: [/API key|account/], data: ['http_status'] },
	timedOut: {
		text: [
			/is not finished after|could not be looked up/,
			/last look-up did not work|no usable answer/,
			/Get Job|Try again later/,
		],
		data: ['job_id'],
	},
	unknownJob: { text: [/does not know the job/], data: ['job_id', 'http_status'] },
	lookUpRejected: { text: [/look-up of the job/], data: ['job_id', 'http_status'] },
	downloadFailed: {
		text: [/could not be downloaded/, /paid for/],
		data: ['job_id', 'image_urls', 'status'],
	},
};
