import { sleep } from 'n8n-workflow';

/** The passage of time, so that tests can run hours of waiting at once. */
export interface Clock {
	/** Milliseconds since the epoch. It goes on evenly when the computer's clock is set. */
	now(): number;
	/**
	 * Waits, for less than 24 days. When the signal aborts, or is aborted already, it returns at once:
	 * callers look at the signal next, since a sleep that throws would have to be caught everywhere.
	 */
	sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

/** The real clock. n8n Cloud allows no `setTimeout` in a community node, but n8n's own `sleep`. */
export const systemClock: Clock = {
	now: () => Math.round(performance.timeOrigin + performance.now()),

	async sleep(durationMs, signal) {
		if (durationMs < 0 || signal?.aborted) return;
		// Older versions of n8n ignore the second argument, newer ones reject when it aborts.
		await abortable(
			sleep(durationMs, signal).catch(() => undefined),
			signal,
		);
	},
};

/** The same signal for one of many listeners: Node.js warns of a leak when many listen to one. */
export function ownSignal(signal: AbortSignal): AbortSignal {
	return AbortSignal.any([signal]);
}

/** What the promise gives, or undefined as soon as the signal aborts. */
export async function abortable<T>(
	promise: Promise<T>,
	signal: AbortSignal | undefined,
): Promise<T | undefined> {
	if (!signal) return await promise;
	let stopListening: () => void = () => undefined;
	const aborted = new Promise<undefined>((resolve) => {
		const onAbort = () => {
			resolve(undefined);
		};
		if (signal.aborted) onAbort();
		signal.addEventListener('abort', onAbort, { once: true });
		stopListening = () => {
			signal.removeEventListener('abort', onAbort);
		};
	});
	try {
		return await Promise.race([promise, aborted]);
	} finally {
		stopListening();
	}
}
