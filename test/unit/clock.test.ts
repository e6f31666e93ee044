import { abortable, systemClock } from '../../nodes/shared/clock';
import { Semaphore } from '../../nodes/shared/concurrency';

const SIGNALS = [undefined, new AbortController().signal];

describe('the real clock', () => {
	beforeEach(() => jest.useFakeTimers({ now: 1_000_000 }));
	afterEach(() => jest.useRealTimers());

	/** Begins to sleep, and tells whether it is over after a time. */
	function sleeping(
		durationMs: number,
		signal?: AbortSignal,
	): (afterMs: number) => Promise<boolean> {
		const onOver = jest.fn();
		void systemClock.sleep(durationMs, signal).then(onOver);
		return async (afterMs) => {
			await jest.advanceTimersByTimeAsync(afterMs);
			return onOver.mock.calls.length > 0;
		};
	}

	it.each(SIGNALS)(
		'tells the time, and sleeps for the time given, with the signal %p',
		async (signal) => {
			const isOver = sleeping(5000, signal);
			expect(await isOver(4999)).toBe(false);
			expect(await isOver(1)).toBe(true);
			expect(systemClock.now()).toBe(1_005_000);
		},
	);

	it('wakes at once when the signal aborts, and leaves no listener behind', async () => {
		const controller = new AbortController();
		const added = jest.spyOn(controller.signal, 'addEventListener');
		const removed = jest.spyOn(controller.signal, 'removeEventListener');
		const isOver = sleeping(86_400_000, controller.signal);
		expect(await isOver(0)).toBe(false);
		controller.abort();
		expect(await isOver(0)).toBe(true);
		const ours = added.mock.calls.at(-1)?.[1];
		expect(ours).toBeDefined();
		expect(removed.mock.calls.map(([, listener]) => listener)).toContain(ours);
	});

	it('does not begin to sleep when the signal is aborted already, or for less than nothing', async () => {
		expect(await sleeping(5000, AbortSignal.abort())(0)).toBe(true);
		expect(await sleeping(-1)(0)).toBe(true);
		expect(jest.getTimerCount()).toBe(0);
	});
});

describe('what can be aborted', () => {
	it.each(SIGNALS)('ends as the promise does while nothing aborts it, with %p', async (signal) => {
		await expect(abortable(Promise.resolve('a'), signal)).resolves.toBe('a');
		const broken = Promise.reject(new Error('broken'));
		await expect(abortable(broken, signal)).rejects.toThrow('broken');
	});

	it('gives undefined as soon as the signal aborts, whatever the promise does later', async () => {
		const controller = new AbortController();
		let fail: (error: Error) => void = () => undefined;
		const promise = new Promise<string>((_, reject) => {
			fail = reject;
		});
		const waiting = abortable(promise, controller.signal);
		controller.abort();
		await expect(waiting).resolves.toBeUndefined();
		await expect(abortable(promise, AbortSignal.abort())).resolves.toBeUndefined();
		// Nobody listens any more: unhandled, it would end the process.
		fail(new Error('too late'));
		await new Promise((resolve) => setImmediate(resolve));
	});
});

it('a semaphore begins the next one, in order, as soon as a place is free, also after work that throws', async () => {
	const semaphore = new Semaphore(1);
	const begun: string[] = [];
	const work = async (name: string) =>
		await semaphore.run(async () => {
			begun.push(name);
			return await (name === 'b' ? Promise.reject(new Error(name)) : Promise.resolve(name));
		});
	for (let round = 0; round < 2; round++) {
		const ends = Promise.allSettled(['a', 'b', 'c'].map(work));
		expect(begun.splice(0)).toEqual(['a']);
		expect(await ends).toMatchObject([{ value: 'a' }, { status: 'rejected' }, { value: 'c' }]);
		expect(begun.splice(0)).toEqual(['b', 'c']);
	}
});
