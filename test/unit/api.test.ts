import fc from 'fast-check';
import { backOffMs, retryAfterMs } from '../../nodes/shared/api/api';

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

	it('reads any number of seconds, and any date of the HTTP form', () => {
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

describe('the pause before another try', () => {
	const attempt = fc.nat({ max: 60 });
	const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

	it('doubles from one second, and lies between half of it and all of it, up to 16 s', () => {
		fc.assert(
			fc.property(attempt, random, (tries, chance) => {
				const whole = Math.min(16_000, 1000 * 2 ** tries);
				const pause = backOffMs(tries, () => chance);
				expect(pause).toBeGreaterThanOrEqual(whole / 2);
				expect(pause).toBeLessThanOrEqual(whole);
			}),
		);
		expect([0, 1, 2, 3, 4, 5].map((tries) => backOffMs(tries, () => 0))).toEqual([
			500, 1000, 2000, 4000, 8000, 8000,
		]);
	});

	it('is not the same for two runs that were refused together', () => {
		const pauses = new Set(Array.from({ length: 20 }, () => backOffMs(3)));
		expect(pauses.size).toBeGreaterThan(1);
	});
});
