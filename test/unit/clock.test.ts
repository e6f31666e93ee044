import { abortable, systemClock } from '../../nodes/shared/clock';
import { Semaphore } from '../../nodes/shared/concurrency';

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

	it.each([undefined, new AbortController().signal])(
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
		expect(removed.mock.calls.map(([, listener]) => listener)).toContain(ours);
	});

	it('does not begin to sleep when the signal is aborted already, or for less than nothing', async () => {
		expect(await sleeping(5000, AbortSignal.abort())(0)).toBe(true);
		expect(await sleeping(-1)(0)).toBe(true);
		expect(jest.getTimerCount()).toBe(0);
	});
});

it('what was aborted gives undefined, whatever its promise does later', async () => {
	let fail: (error: Error) => void = () => undefined;
	const promise = new Promise<string>((_, reject) => {
		fail = reject;
	});
	await expect(abortable(promise, AbortSignal.abort())).resolves.toBeUndefined();
	// Nobody listens any more: unhandled, it would end the process.
	fail(new Error('too late'));
	await new Promise((resolve) => setImmediate(resolve));
});

it('a semaphore begins the next one, in order, also after work that throws', async () => {
	const semaphore = new Semaphore(1);
	const begun: string[] = [];
	const work = async (name: string) => {
		begun.push(name);
		return await (name === 'b' ? Promise.reject(new Error(name)) : Promise.resolve(name));
	};
	for (let round = 0; round < 2; round++) {
		const ends = ['a', 'b', 'c'].map(async (name) => await semaphore.run(() => work(name)));
		expect(begun.splice(0)).toEqual(['a']);
		await Promise.allSettled(ends);
		expect(begun.splice(0)).toEqual(['b', 'c']);
	}
});
