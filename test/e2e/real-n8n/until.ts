import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks until there is an answer.
 *
 * @param ask gives what is waited for; what it throws meanwhile is the reason that is told in the end
 */
export async function until<T>(
	ask: () => T | false | undefined | Promise<T | false | undefined>,
	withinMs = 30_000,
	everyMs = 50,
): Promise<T> {
	const deadline = Date.now() + withinMs;
	for (;;) {
		let reason: unknown;
		try {
			const answer = await ask();
			if (answer) return answer;
		} catch (error) {
			reason = error;
		}
		if (Date.now() > deadline) {
			if (reason instanceof Error) throw reason;
			throw new Error(`Not within ${withinMs} ms: ${ask.toString()}`);
		}
		await sleep(everyMs);
	}
}
