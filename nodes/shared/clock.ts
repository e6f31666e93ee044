import { sleep } from 'n8n-workflow';

/** The passage of time, so that tests can run hours of waiting at once. */
export interface Clock {
	/** Milliseconds since the epoch. */
	now(): number;
	/**
	 * Waits. When the signal aborts, or is aborted already, it returns at once: whoever waits looks
	 * at the signal next, since a sleep that throws would have to be caught everywhere.
	 */
	pause(durationMs: number, signal?: AbortSignal): Promise<void>;
}

/** The real clock. n8n Cloud allows no `setTimeout` in a community node, but n8n's own `sleep`. */
export const systemClock: Clock = {
	now: () => Date.now(),

	async pause(durationMs, signal) {
		if (signal?.aborted) return;
		let stopListening: () => void = () => undefined;
		const aborted = new Promise<void>((resolve) => {
			const onAbort = () => {
				resolve();
			};
			signal?.addEventListener('abort', onAbort, { once: true });
			stopListening = () => {
				signal?.removeEventListener('abort', onAbort);
			};
		});
		try {
			// Older versions of n8n ignore the second argument, newer ones reject when it aborts.
			await Promise.race([sleep(durationMs, signal).catch(() => undefined), aborted]);
		} finally {
			stopListening();
		}
	},
};
