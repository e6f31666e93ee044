import { sleep } from 'n8n-workflow';

/** The passage of time, so that tests can run hours of waiting at once. */
export interface Clock {
	/** Milliseconds since the epoch. */
	now(): number;
	/**
	 * Waits. When the signal aborts, or is aborted already, it returns at once: whoever waits looks
	 * at the signal next, since a sleep that throws would have to be caught everywhere.
	 */
	sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

/** Timers of JavaScript hold 31 bits; a longer one would ring at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The real clock. n8n Cloud allows no `setTimeout` in a community node, but n8n's own `sleep`. */
export const systemClock: Clock = {
	now: () => Date.now(),

	async sleep(durationMs, signal) {
		for (let left = durationMs; left >= 0 && !signal?.aborted; left -= LONGEST_TIMER_MS) {
			const timerMs = Math.min(left, LONGEST_TIMER_MS);
			// Older versions of n8n ignore the second argument, newer ones reject when it aborts.
			await abortable(
				sleep(timerMs, signal).catch(() => undefined),
				signal,
			);
		}
	},
};

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
