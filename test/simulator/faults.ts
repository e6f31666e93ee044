import type { AddedFault, Fault } from '../emulator/emulator';

type Kind<F> = F extends Fault ? Omit<F, 'at' | 'times' | 'match'> : never;

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

interface FaultType {
	fault: Kind<Fault>;
	/** Absent: it strikes no POST. */
	submit?: SubmitVerdict;
}

const json = (
	status: number,
	detail: string,
	headers?: Record<string, string>,
): FaultType['fault'] => ({
	kind: 'respond',
	status,
	body: { detail },
	...(headers && { headers }),
});
/** The key that the service's error pages repeat. */
export const ECHOED_KEY = 'af-key-3f9c0d5e7b2a4816';
const FIREWALL = '<html><head><title>Just a moment...</title></head><body>Checking</body></html>';

/** Every fault that a day can have, by name. */
export const FAULTS = {
	rateLimit: { fault: json(429, 'Slow down'), submit: 'refused' },
	rateLimitFor7s: { fault: json(429, 'Slow down', { 'retry-after': '7' }), submit: 'refused' },
	rateLimitUntil: {
		fault: {
			kind: 'respond',
			status: 429,
			headers: (nowMs) => ({ 'retry-after': new Date(nowMs + 20_000).toUTCString() }),
			body: { detail: 'Slow down' },
		},
		submit: 'refused',
	},
	rateLimitForHours: {
		fault: json(429, 'Slow down', { 'retry-after': '7200' }),
		submit: 'refused',
	},
	reset: { fault: { kind: 'reset' }, submit: 'open' },
	resetUploading: { fault: { kind: 'reset', when: 'uploading' }, submit: 'either' },
	resetAccepted: { fault: { kind: 'reset', when: 'accepted' }, submit: 'lost' },
	stall: { fault: { kind: 'stall' }, submit: 'open' },
	stallAccepted: { fault: { kind: 'stall', when: 'accepted' }, submit: 'lost' },
	serverError: { fault: json(500, 'Internal Server Error'), submit: 'open' },
	serverErrorAccepted: {
		fault: { kind: 'respond', status: 500, when: 'accepted' },
		submit: 'lost',
	},
	overloaded: { fault: json(503, 'Overloaded', { 'retry-after': '7' }), submit: 'open' },
	echoesKey: {
		fault: {
			kind: 'respond',
			status: 502,
			body: `Your request: Authorization: Bearer ${ECHOED_KEY}`,
		},
		submit: 'open',
	},
	gatewayTimeout: { fault: { kind: 'html', status: 504 }, submit: 'open' },
	requestTimeout: { fault: json(408, 'Request Timeout'), submit: 'open' },
	pageInPlace: { fault: { kind: 'html' }, submit: 'open' },
	garbage: { fault: { kind: 'garbage' }, submit: 'open' },
	endless: { fault: { kind: 'endlessBody' }, submit: 'open' },
	huge: { fault: { kind: 'hugeBody', megabytes: 2 }, submit: 'lost' },
	cut: { fault: { kind: 'truncate' }, submit: 'lost' },
	cutChunked: { fault: { kind: 'truncate', chunked: true }, submit: 'lost' },
	cutBehind: { fault: { kind: 'truncate', whole: true }, submit: 'started' },
	stallBody: { fault: { kind: 'stallBody' }, submit: 'lost' },
	badRequest: { fault: json(400, 'Invalid image file'), submit: 'refused' },
	badKey: { fault: json(401, 'Invalid API key'), submit: 'refused' },
	noCredits: { fault: json(402, 'Insufficient credits'), submit: 'refused' },
	forbidden: { fault: json(403, 'Forbidden'), submit: 'refused' },
	accountGone: { fault: json(404, 'Not Found User'), submit: 'refused' },
	unknownJob: { fault: json(404, 'Job not found') },
	tooLarge: { fault: json(413, 'Too large'), submit: 'refused' },
	tooEarly: { fault: json(425, 'Too Early'), submit: 'refused' },
	firewall: { fault: { kind: 'html', status: 403 }, submit: 'refused' },
	firewallKey: { fault: { kind: 'respond', status: 401, body: FIREWALL }, submit: 'refused' },
	proxyWantsKey: { fault: { kind: 'html', status: 407 }, submit: 'refused' },
	redirect: { fault: { kind: 'redirect', to: 'http://127.0.0.1:9/elsewhere' }, submit: 'refused' },
	redirectInCircles: { fault: { kind: 'redirect', to: 'itself' }, submit: 'refused' },
} as const satisfies Record<string, FaultType>;

export type FaultName = keyof typeof FAULTS | 'slow' | 'late';

/** How long an answer is held back: still in time for a submit, or not. */
export const HELD_MS = { slow: 20_000, late: 80_000 };

export function verdictOf(name: FaultName | undefined): SubmitVerdict | undefined {
	if (name === undefined || name === 'slow') return 'started';
	if (name === 'late') return 'lost';
	return (FAULTS[name] as FaultType).submit;
}

export type { AddedFault };
