import type { Clock } from '../../nodes/shared/clock';

interface Timer {
	at: number;
	order: number;
	ring: () => void;
	isOver: boolean;
}

/**
 * A clock that jumps to the next thing to wait for once nothing else can go on. Unlike the one of the
 * engine tests it waits for no real input or output, so it is exact and takes no time for itself.
 */
export class SimulatedClock implements Clock {
	#now = 0;
	#order = 0;
	/** A binary heap, the soonest first. */
	readonly #timers: Timer[] = [];

	now(): number {
		return this.#now;
	}

	async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
		if (signal?.aborted) return;
		await new Promise<void>((resolve) => {
			const timer: Timer = {
				at: this.#now + durationMs,
				order: this.#order++,
				isOver: false,
				ring: () => {
					signal?.removeEventListener('abort', timer.ring);
					timer.isOver = true;
					resolve();
				},
			};
			signal?.addEventListener('abort', timer.ring, { once: true });
			this.#push(timer);
		});
	}

	/** Lets time pass until the work is done. */
	async run<T>(work: Promise<T>): Promise<T> {
		const state = { isDone: false };
		const done = work.finally(() => {
			state.isDone = true;
		});
		done.catch(() => undefined);
		for (;;) {
			// Everything that needs no waiting goes on before this comes round.
			await new Promise((resolve) => setImmediate(resolve));
			if (state.isDone) return await done;
			const next = this.#pop();
			if (next === undefined) throw new Error('Nothing is waited for, and the work is not done.');
			this.#now = Math.max(this.#now, next.at);
			next.ring();
		}
	}

	#push(timer: Timer): void {
		const timers = this.#timers;
		let at = timers.push(timer) - 1;
		while (at > 0) {
			const above = (at - 1) >> 1;
			const parent = timers[above];
			if (parent === undefined || isBefore(parent, timer)) break;
			timers[at] = parent;
			at = above;
		}
		timers[at] = timer;
	}

	/** The soonest timer that still counts. */
	#pop(): Timer | undefined {
		const timers = this.#timers;
		for (;;) {
			const first = timers[0];
			const last = timers.pop();
			if (first === undefined || last === undefined) return undefined;
			if (timers.length > 0) this.#sink(last);
			if (!first.isOver) return first;
		}
	}

	#sink(timer: Timer): void {
		const timers = this.#timers;
		let at = 0;
		for (;;) {
			const left = timers[2 * at + 1];
			const right = timers[2 * at + 2];
			if (left === undefined) break;
			const takesRight = right !== undefined && isBefore(right, left);
			const child = takesRight ? right : left;
			if (isBefore(timer, child)) break;
			timers[at] = child;
			at = 2 * at + (takesRight ? 2 : 1);
		}
		timers[at] = timer;
	}
}

function isBefore(a: Timer, b: Timer): boolean {
	return a.at < b.at || (a.at === b.at && a.order < b.order);
}
