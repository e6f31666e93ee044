import type { Fault, JobWish } from '../emulator/emulator';

/** Any fault, without what it strikes. An answer is held back so long. */
type Kind<F> = F extends { kind: 'hold' }
	? { kind: 'hold'; forMs: number }
	: F extends Fault
		? Omit<F, 'at' | 'times' | 'match'>
		: never;

/** What a fault makes of a POST, as somebody would say who sees both ends. */
export type SubmitVerdict =
	/** Nobody can take it for a job. */
	| 'refused'
	/** No job, but the node cannot know. */
	| 'open'
	/** A job, of which the node hears nothing. */
	| 'lost'
	/** No job, which the node may or may not know. */
	| 'either'
	/** A job that the node gets to know. */
	| 'started';

/** The key that the service's error pages repeat. */
export const ECHOED_KEY = 'af-key-3f9c0d5e7b2a4816';
const ECHO = `Your request: Authorization: Bearer ${ECHOED_KEY}`;
const FIREWALL = '<html><head><title>Just a moment...</title></head><body>Checking</body></html>';

type Answer = Extract<Kind<Fault>, { kind: 'respond' }>;

function json(status: number, detail: string, headers: Answer['headers'] = {}): Answer {
	return { kind: 'respond', status, body: { detail }, headers };
}

/** Every fault that a day can have, by name, with what it makes of a POST if it can strike one. */
export const FAULTS = {
	rateLimit: [json(429, 'Slow down'), 'refused'],
	rateLimitFor7s: [json(429, 'Slow down', { 'retry-after': '7' }), 'refused'],
	rateLimitUntil: [json(429, 'Slow down', in20Seconds), 'refused'],
	rateLimitForHours: [json(429, 'Slow down', { 'retry-after': '7200' }), 'refused'],
	reset: [{ kind: 'reset' }, 'open'],
	resetUploading: [{ kind: 'reset', when: 'uploading' }, 'either'],
	resetAccepted: [{ kind: 'reset', when: 'accepted' }, 'lost'],
	stall: [{ kind: 'stall' }, 'open'],
	stallAccepted: [{ kind: 'stall', when: 'accepted' }, 'lost'],
	serverError: [json(500, 'Internal Server Error'), 'open'],
	serverErrorAccepted: [{ kind: 'respond', status: 500, when: 'accepted' }, 'lost'],
	overloaded: [json(503, 'Overloaded', { 'retry-after': '7' }), 'open'],
	echoesKey: [{ kind: 'respond', status: 502, body: ECHO }, 'open'],
	gatewayTimeout: [{ kind: 'html', status: 504 }, 'open'],
	requestTimeout: [json(408, 'Request Timeout'), 'open'],
	pageInPlace: [{ kind: 'html' }, 'open'],
	garbage: [{ kind: 'garbage' }, 'open'],
	endless: [{ kind: 'endlessBody' }, 'open'],
	huge: [{ kind: 'hugeBody', megabytes: 2 }, 'lost'],
	cut: [{ kind: 'truncate' }, 'lost'],
	cutChunked: [{ kind: 'truncate', chunked: true }, 'lost'],
	cutBehind: [{ kind: 'truncate', whole: true }, 'started'],
	stallBody: [{ kind: 'stallBody' }, 'lost'],
	badRequest: [json(400, 'Invalid image file'), 'refused'],
	badKey: [json(401, 'Invalid API key'), 'refused'],
	noCredits: [json(402, 'Insufficient credits'), 'refused'],
	forbidden: [json(403, 'Forbidden'), 'refused'],
	accountGone: [json(404, 'Not Found User'), 'refused'],
	unknownJob: [json(404, 'Job not found'), undefined],
	tooLarge: [json(413, 'Too large'), 'refused'],
	tooEarly: [json(425, 'Too Early'), 'refused'],
	firewall: [{ kind: 'html', status: 403 }, 'refused'],
	firewallKey: [{ kind: 'respond', status: 401, body: FIREWALL }, 'refused'],
	proxyWantsKey: [{ kind: 'html', status: 407 }, 'refused'],
	redirect: [{ kind: 'redirect', to: 'http://127.0.0.1:9/elsewhere' }, 'refused'],
	redirectInCircles: [{ kind: 'redirect', to: 'itself' }, 'refused'],
	/** Still in time for a submit, or not. */
	slow: [{ kind: 'hold', forMs: 20_000 }, 'started'],
	late: [{ kind: 'hold', forMs: 80_000 }, 'lost'],
} satisfies Record<string, readonly [Kind<Fault>, SubmitVerdict | undefined]>;

function in20Seconds(nowMs: number): Record<string, string> {
	return { 'retry-after': new Date(nowMs + 20_000).toUTCString() };
}

export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

/** How each kind of job differs from the usual one. */
export const JOBS = {
	succeeds: {},
	fails: { outcome: { status: 'Failed' } },
	failsWithReason: {
		outcome: { status: 'Failed', extra: { error_message: 'Not with these words' } },
	},
	takesLong: { durationMs: 90_000 },
	neverEnds: { durationMs: Infinity },
	hasNoImages: { outcome: { images: [] } },
	hasImagesLate: { outcome: { extra: { image_urls: null } } },
	hasTwoImages: { outcome: { images: ['png', 'png'] } },
	hasGif: { outcome: { images: ['png', 'gif'] } },
	hasUrlObjects: { outcome: { imageUrls: 'url' } },
	isListedLate: {},
} satisfies Record<string, JobWish>;

export const JOB_NAMES = Object.keys(JOBS) as (keyof typeof JOBS)[];
