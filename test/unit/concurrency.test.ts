import fc from 'fast-check';
import { forEachIndex, Gate } from '../../nodes/shared/concurrency';

/** Lets other work that is ready go first, a number of times. */
async function yieldTimes(times: number): Promise<void> {
	for (let time = 0; time < times; time++) await Promise.resolve();
}

/** Work whose pieces take these times, and how many of them were under way together at most. */
function observed(durations: readonly number[]): {
	work: (index: number) => Promise<void>;
	started: number[];
	finished: number[];
	most: () => number;
} {
	const started: number[] = [];
	const finished: number[] = [];
	let most = 0;
	return {
		started,
		finished,
		most: () => most,
		work: async (index) => {
			started.push(index);
			most = Math.max(most, started.length - finished.length);
			await yieldTimes(durations[index] ?? 0);
			finished.push(index);
		},
	};
}

const durations = fc.array(fc.nat({ max: 20 }), { maxLength: 30 });
const limit = fc.integer({ min: 1, max: 40 });

describe('forEachIndex', () => {
	it('handles each index once, starts them in order, and keeps to the limit', async () => {
		await fc.assert(
			fc.asyncProperty(durations, limit, async (times, atOnce) => {
				const { work, started, finished, most } = observed(times);
				await forEachIndex(times.length, atOnce, work);
				expect(started).toEqual(times.map((_, index) => index));
				expect([...finished].sort((a, b) => a - b)).toEqual(started);
				expect(most()).toBe(Math.min(atOnce, times.length));
			}),
		);
	});

	it('takes the next index as soon as a place is free, whatever the slow ones do', async () => {
		const { work, finished } = observed([1000, 1, 1, 1]);
		await forEachIndex(4, 2, work);
		expect(finished).toEqual([1, 2, 3, 0]);
	});

	it('passes on what the work throws', async () => {
		await expect(
			forEachIndex(3, 1, async (index) => {
				await Promise.resolve();
				if (index === 1) throw new Error('second');
			}),
		).rejects.toThrow('second');
	});
});

describe('Gate', () => {
	it('lets no more through than the limit, in order, and gives back what they give', async () => {
		await fc.assert(
			fc.asyncProperty(durations, limit, async (times, atOnce) => {
				const gate = new Gate(atOnce);
				const { work, started, most } = observed(times);
				const given = await Promise.all(
					times.map((_, index) =>
						gate.pass(async () => {
							await work(index);
							return index;
						}),
					),
				);
				expect(given).toEqual(times.map((_, index) => index));
				expect(started).toEqual(given);
				expect(most()).toBe(Math.min(atOnce, times.length));
			}),
		);
	});

	it('frees the place of work that throws, with others waiting or not', async () => {
		const gate = new Gate(1);
		const failing = () => gate.pass(() => Promise.reject(new Error('broken')));
		const outcomes = await Promise.allSettled([
			failing(),
			failing(),
			gate.pass(() => Promise.resolve(3)),
		]);
		expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
		await expect(failing()).rejects.toThrow('broken');
		await expect(gate.pass(() => Promise.resolve(5))).resolves.toBe(5);
	});

	it('keeps to the limit also for work that comes after a rest', async () => {
		const gate = new Gate(2);
		await Promise.all([1, 2, 3].map(() => gate.pass(() => yieldTimes(3))));
		const { work, most } = observed([5, 5, 5, 5]);
		await Promise.all([0, 1, 2, 3].map((index) => gate.pass(() => work(index))));
		expect(most()).toBe(2);
	});
});
