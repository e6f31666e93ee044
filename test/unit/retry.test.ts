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

describe('retrying', () => {
	const LIMITS = { tries: 5, budgetMs: 60_000 };

	/** Runs tries that bring these outcomes, the last one again and again; tells when each began. */
	async function tryAll(
		outcomes: readonly Attempt<string>[],
		limits = LIMITS,
		stop = new AbortController(),
	): Promise<{ value: string; triedAtMs: number[] }> {
		const clock = new VirtualClock(0);
		const triedAtMs: number[] = [];
		const value = await clock.run(
			retry(clock, limits, stop.signal, async () => {
				const attempt = outcomes[Math.min(triedAtMs.push(clock.now()), outcomes.length) - 1];
				return await Promise.resolve(attempt ?? { value: 'none' });
			}),
		);
		return { value, triedAtMs };
	}

	it('makes no more tries than allowed, each after the back-off of its number', async () => {
		jest.spyOn(Math, 'random').mockReturnValue(0.5);
		const triedAtMs = [0, 750, 2250, 5250, 11_250];
		expect(await tryAll([{ valueIfLast: 'a' }])).toEqual({ value: 'a', triedAtMs });
	});

	it('ends with the first value, and waits as long as the server asks for, where that is longer', async () => {
		jest.spyOn(Math, 'random').mockReturnValue(0.5);
		const tried = await tryAll([
			{ valueIfLast: 'a', retryAfterMs: 20_000 },
			{ valueIfLast: 'b', retryAfterMs: 0 },
			{ value: 'c' },
		]);
		expect(tried).toEqual({ value: 'c', triedAtMs: [0, 20_000, 21_500] });
	});

	it('begins no try after its budget, and does not wait for one that it cannot begin', async () => {
		const many = { tries: 20, budgetMs: 60_000 };
		const every = async (retryAfterMs: number) =>
			(await tryAll([{ valueIfLast: 'a', retryAfterMs }], many)).triedAtMs;
		expect(await every(20_000)).toEqual([0, 20_000, 40_000, 60_000]);
		expect(await every(25_000)).toEqual([0, 25_000, 50_000]);
		expect(await every(60_001)).toEqual([0]);
	});

	it('ends with what it has when it is aborted while it waits', async () => {
		const stop = new AbortController();
		setImmediate(() => {
			stop.abort();
		});
		const tried = await tryAll([{ valueIfLast: 'a' }, { value: 'b' }], LIMITS, stop);
		expect(tried).toEqual({ value: 'a', triedAtMs: [0] });
	});
});
