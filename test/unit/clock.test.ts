import fc from 'fast-check';
import { abortable, systemClock } from '../../nodes/shared/clock';

describe('the real clock', () => {
	beforeEach(() => jest.useFakeTimers({ now: 1_000_000 }));
	afterEach(() => jest.useRealTimers());

	/** Tells whether a sleep is over, as far as waiting promises can tell. */
	async function watched(sleep: Promise<void>): Promise<() => Promise<boolean>> {
		let isOver = false;
		void sleep.then(() => {
			isOver = true;
		});
		const check = async () => {
			await jest.advanceTimersByTimeAsync(0);
			return isOver;
		};
		await check();
		return check;
	}

	it('tells the time', () => {
		expect(systemClock.now()).toBe(1_000_000);
	});

	it.each([
		['without a signal', undefined],
		['with a signal', new AbortController().signal],
	])('sleeps for the time given, %s', async (_, signal) => {
		const isOver = await watched(systemClock.sleep(5000, signal));
		await jest.advanceTimersByTimeAsync(4999);
		expect(await isOver()).toBe(false);
		await jest.advanceTimersByTimeAsync(1);
		expect(await isOver()).toBe(true);
	});

	it('wakes at once from any sleep when the signal aborts, and leaves no listener behind', async () => {
		for (const durationMs of [5000, 86_400_000]) {
			const controller = new AbortController();
			const { signal } = controller;
			const added = jest.spyOn(signal, 'addEventListener');
			const removed = jest.spyOn(signal, 'removeEventListener');
			const isOver = await watched(systemClock.sleep(durationMs, signal));
			expect(await isOver()).toBe(false);
			controller.abort();
			expect(await isOver()).toBe(true);
			const ours = added.mock.calls.at(-1)?.[1];
			expect(ours).toBeDefined();
			expect(removed.mock.calls.map(([, listener]) => listener)).toContain(ours);
		}
	});

	it('does not begin to sleep when the signal is aborted already, or there is nothing to wait for', async () => {
		expect(await (await watched(systemClock.sleep(5000, AbortSignal.abort())))()).toBe(true);
		expect(await (await watched(systemClock.sleep(-1)))()).toBe(true);
		expect(await (await watched(systemClock.sleep(0)))()).toBe(true);
		expect(jest.getTimerCount()).toBe(0);
	});
});

describe('what can be aborted', () => {
	it('gives what the promise gives while nothing aborts it', async () => {
		await fc.assert(
			fc.asyncProperty(fc.anything(), async (value) => {
				const { signal } = new AbortController();
				await expect(abortable(Promise.resolve(value), signal)).resolves.toBe(value);
				await expect(abortable(Promise.resolve(value), undefined)).resolves.toBe(value);
			}),
		);
	});

	it('passes on what the promise throws', async () => {
		const { signal } = new AbortController();
		const broken = async () => await Promise.reject(new Error('broken'));
		await expect(abortable(broken(), signal)).rejects.toThrow('broken');
		await expect(abortable(broken(), undefined)).rejects.toThrow('broken');
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
		// Nobody listens any more: unhandled, it would end the process.
		fail(new Error('too late'));
		await new Promise((resolve) => setImmediate(resolve));
	});

	it('gives undefined when the signal is aborted already', async () => {
		const never = new Promise<string>(() => undefined);
		await expect(abortable(never, AbortSignal.abort())).resolves.toBeUndefined();
	});
});
