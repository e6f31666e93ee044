import type { Clock } from '../clock';

/** One try: a value to end with, or one to end with only if there is no further try. */
export type Attempt<T> = { value: T } | { valueIfLast: T; retryAfterMs?: number | undefined };

export interface RetryLimits {
	tries: number;
	/** From the first try until the last one may begin, in milliseconds. */
	budgetMs: number;
}

/**
 * Tries until there is a value, with growing pauses: at least as long as the server asks for.
 * @returns the last try's value when the limits are reached, or the signal aborts
 */
export async function retry<T>(
	clock: Clock,
	{ tries, budgetMs }: RetryLimits,
	signal: AbortSignal,
	work: () => Promise<Attempt<T>>,
): Promise<T> {
	const startedAtMs = clock.now();
	for (let tried = 1; ; tried++) {
		const attempt = await work();
		if ('value' in attempt) return attempt.value;
		const sleepMs = Math.max(backOffMs(tried - 1), attempt.retryAfterMs ?? 0);
		const isOver = tried >= tries || clock.now() + sleepMs - startedAtMs > budgetMs;
		if (isOver) return attempt.valueIfLast;
		await clock.sleep(sleepMs, signal);
		if (signal.aborted) return attempt.valueIfLast;
	}
}

/** Doubling from one second, with jitter so that many runs do not come back all at once. */
export function backOffMs(attempt: number, random: () => number = Math.random): number {
	return Math.min(16_000, 1000 * 2 ** attempt) * (0.5 + random() / 2);
}

/**
 * The time that `Retry-After` asks for, as a number of seconds or a date (RFC 9110, 10.2.3).
 * Anything else is as good as no header.
 *
 * @param now milliseconds since the epoch
 */
export function retryAfterMs(header: unknown, now: number): number | undefined {
	if (typeof header !== 'string') return undefined;
	const value = header.trim();
	if (/^\d+$/.test(value)) return Number(value) * 1000;
	// Date.parse takes nearly any text with a digit in it; the header's dates start with a weekday.
	const date = /^[A-Z][a-z]+, /.test(value) ? Date.parse(value) : Number.NaN;
	return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
