import fc from 'fast-check';
import { backOffMs, retry, retryAfterMs, type Attempt } from '../../nodes/shared/api/retry';
import { VirtualClock } from '../support/virtualClock';

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);

describe('Retry-After', () => {
	it.each<[header: unknown, ms: number | undefined]>([
		['0', 0],
		['7', 7000],
		['  12\t', 12_000],
		['86400', 86_400_000],
		['Sun, 22 Nov 2026 12:00:30 GMT', 30_000],
		['Sunday, 22-Nov-26 12:01:00 GMT', 60_000],
		['Sun, 22 Nov 2026 11:59:00 GMT', 0],
		['Sun, 31 Foo 2026 12:00:30 GMT', undefined],
		['-5', undefined],
		['1.5', undefined],
		['1e3', undefined],
		['0x10', undefined],
		['5 seconds', undefined],
		['2026-11-22', undefined],
		['soon', undefined],
		['', undefined],
		[undefined, undefined],
		[null, undefined],
		[5, undefined],
		[['5', '6'], undefined],
	])('%j means %j ms', (header, ms) => {
		expect(retryAfterMs(header, NOW)).toBe(ms);
	});

	it('is read for any number of seconds, and any date of the HTTP form', () => {
		fc.assert(
			fc.property(fc.integer({ min: 0, max: 1e7 }), (seconds) => {
				expect(retryAfterMs(String(seconds), NOW)).toBe(seconds * 1000);
				const date = new Date(NOW + seconds * 1000).toUTCString();
				expect(retryAfterMs(date, NOW)).toBe(seconds * 1000);
				const past = new Date(NOW - seconds * 1000).toUTCString();
				expect(retryAfterMs(past, NOW)).toBe(0);
			}),
		);
	});

	it('gives a time that can be waited, or none, for any text', () => {
		fc.assert(
			fc.property(fc.string(), (text) => {
				const ms = retryAfterMs(text, NOW);
				expect(ms === undefined || ms >= 0).toBe(true);
			}),
		);
	});
});

describe('the back-off', () => {
	const attempt = fc.nat({ max: 60 });
	const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

	it('doubles from one second, and lies between half of it and all of it, up to 16 s', () => {
		fc.assert(
			fc.property(attempt, random, (tries, chance) => {
				const whole = Math.min(16_000, 1000 * 2 ** tries);
				const sleepMs = backOffMs(tries, () => chance);
				expect(sleepMs).toBeGreaterThanOrEqual(whole / 2);
				expect(sleepMs).toBeLessThanOrEqual(whole);
			}),
		);
		expect([0, 1, 2, 3, 4, 5].map((tries) => backOffMs(tries, () => 0))).toEqual([
			500, 1000, 2000, 4000, 8000, 8000,
		]);
	});

	it('is not the same for two runs that were refused together', () => {
		const sleeps = new Set(Array.from({ length: 20 }, () => backOffMs(3)));
		expect(sleeps.size).toBeGreaterThan(1);
	});
});

describe('retrying', () => {
	interface Outcome {
		value: string;
		/** When each try began. */
		triedAtMs: number[];
	}

	/** Runs tries that bring these outcomes, the last one again and again. */
	async function outcomeOf(
		outcomes: readonly Attempt<string>[],
		limits: Parameters<typeof retry>[1],
		signal: AbortSignal = new AbortController().signal,
		onTry: (triedCount: number) => void = () => undefined,
	): Promise<Outcome> {
		const clock = new VirtualClock(0);
		const triedAtMs: number[] = [];
		const value = await clock.run(
			retry(clock, limits, signal, async () => {
				triedAtMs.push(clock.now());
				onTry(triedAtMs.length);
				const attempt = outcomes[Math.min(triedAtMs.length, outcomes.length) - 1];
				return await Promise.resolve(attempt ?? { value: 'none' });
			}),
		);
		return { value, triedAtMs };
	}

	const limits = { tries: 5, budgetMs: 60_000 };

	it('ends with the first value', async () => {
		const { value, triedAtMs } = await outcomeOf(
			[{ valueIfLast: 'a' }, { valueIfLast: 'b' }, { value: 'c' }, { value: 'd' }],
			limits,
		);
		expect(value).toBe('c');
		expect(triedAtMs).toHaveLength(3);
	});

	it('makes no more tries than allowed, each after the back-off of its number', async () => {
		jest.spyOn(Math, 'random').mockReturnValue(0.5);
		const { value, triedAtMs } = await outcomeOf([{ valueIfLast: 'a' }], limits);
		jest.restoreAllMocks();
		expect(value).toBe('a');
		expect(triedAtMs).toEqual([0, 750, 2250, 5250, 11_250]);
	});

	it('waits as long as the server asks for, where that is longer', async () => {
		const { triedAtMs } = await outcomeOf(
			[
				{ valueIfLast: 'a', retryAfterMs: 20_000 },
				{ valueIfLast: 'b', retryAfterMs: 0 },
				{ value: 'c' },
			],
			limits,
		);
		expect(triedAtMs[1]).toBe(20_000);
		expect(triedAtMs[2]).toBeGreaterThanOrEqual(21_000);
		expect(triedAtMs[2]).toBeLessThanOrEqual(22_000);
	});

	it('begins no try after its budget, and does not wait for one that it cannot begin', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.nat({ max: 40_000 }), { minLength: 1, maxLength: 8 }),
				fc.nat({ max: 60_000 }),
				async (waits, budgetMs) => {
					const outcomes = waits.map((wait) => ({ valueIfLast: 'a', retryAfterMs: wait }));
					const { triedAtMs } = await outcomeOf(outcomes, { tries: 20, budgetMs });
					expect(Math.max(...triedAtMs)).toBeLessThanOrEqual(budgetMs);
				},
			),
			{ numRuns: 30 },
		);
		const { triedAtMs } = await outcomeOf([{ valueIfLast: 'a', retryAfterMs: 60_001 }], limits);
		expect(triedAtMs).toEqual([0]);
	});

	it('ends with what it has when it is aborted while it waits', async () => {
		const controller = new AbortController();
		const { value, triedAtMs } = await outcomeOf(
			[{ valueIfLast: 'a' }, { value: 'b' }],
			limits,
			controller.signal,
			() => {
				setImmediate(() => {
					controller.abort();
				});
			},
		);
		expect(value).toBe('a');
		expect(triedAtMs).toHaveLength(1);
	});

	it('passes on what a try throws', async () => {
		const clock = new VirtualClock(0);
		const tried = retry(clock, limits, new AbortController().signal, async () => {
			await Promise.resolve();
			throw new Error('broken');
		});
		await expect(clock.run(tried)).rejects.toThrow('broken');
	});
});
