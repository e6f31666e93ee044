import { backOffMs, retry, retryAfterMs, type Attempt } from '../../nodes/shared/api/retry';
import { VirtualClock } from '../support/virtualClock';

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);

afterEach(() => {
	jest.restoreAllMocks();
});

it.each<[header: unknown, ms: number | undefined]>([
	['0', 0],
	['  12\t', 12_000],
	['86400', 86_400_000],
	['Sun, 22 Nov 2026 12:00:30 GMT', 30_000],
	['Sunday, 22-Nov-26 12:01:00 GMT', 60_000],
	['Sun, 22 Nov 2026 11:59:00 GMT', 0],
	['Sun, 31 Foo 2026 12:00:30 GMT', undefined],
	['-5', undefined],
	['1.5', undefined],
	['5 seconds', undefined],
	['2026-11-22', undefined],
	['', undefined],
	[undefined, undefined],
	[['5', '6'], undefined],
])('Retry-After: %j means %j ms', (header, ms) => {
	expect(retryAfterMs(header, NOW)).toBe(ms);
});

it('backs off for a time that doubles from one second to 16 s, less up to a half', () => {
	const [shortest, longest] = [0, 1].map((random) =>
		[0, 1, 2, 3, 4, 5, 60].map((attempt) => backOffMs(attempt, () => random)),
	);
	expect(shortest).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000]);
	expect(longest).toEqual([1000, 2000, 4000, 8000, 16_000, 16_000, 16_000]);
	// Two runs that were refused together do not come back together.
	expect(new Set(Array.from({ length: 20 }, () => backOffMs(3))).size).toBeGreaterThan(1);
});

/** When each try began that brought one of these outcomes, the last one again and again. */
async function triedAtMs(
	limits: { tries: number; budgetMs: number },
	...outcomes: Attempt<string>[]
) {
	const clock = new VirtualClock(0);
	const times: number[] = [];
	const tried = retry(clock, limits, new AbortController().signal, async () => {
		const outcome = outcomes[Math.min(times.push(clock.now()), outcomes.length) - 1];
		return await Promise.resolve(outcome ?? { value: 'none' });
	});
	return { value: await clock.run(tried), times };
}

it('tries until there is a value, after the back-off of each try or what the server asks for', async () => {
	jest.spyOn(Math, 'random').mockReturnValue(0.5);
	const asked = [undefined, 20_000, 0].map((retryAfterMs) => ({ valueIfLast: 'a', retryAfterMs }));
	const tried = await triedAtMs({ tries: 5, budgetMs: 60_000 }, ...asked, { value: 'b' });
	expect(tried).toEqual({ value: 'b', times: [0, 750, 20_750, 23_750] });
});

// How many tries there are at most: unit/submit.
it('begins no try after its budget, and does not wait for one that it cannot begin', async () => {
	const every = async (retryAfterMs: number) =>
		await triedAtMs({ tries: 20, budgetMs: 60_000 }, { valueIfLast: 'a', retryAfterMs });
	expect(await every(20_000)).toEqual({ value: 'a', times: [0, 20_000, 40_000, 60_000] });
	expect((await every(25_000)).times).toEqual([0, 25_000, 50_000]);
	expect((await every(60_001)).times).toEqual([0]);
});

it('ends with what it has when it is stopped while it waits', async () => {
	const clock = new VirtualClock(0);
	const stop = new AbortController();
	const work = jest.fn(async () => {
		void clock.sleep(10).then(() => {
			stop.abort();
		});
		return await Promise.resolve({ valueIfLast: 'a' });
	});
	const tried = retry(clock, { tries: 5, budgetMs: 60_000 }, stop.signal, work);
	expect(await clock.run(tried)).toBe('a');
	expect(work).toHaveBeenCalledTimes(1);
});
