import type { Clock } from '../../nodes/shared/clock';

interface Timer {
	at: number;
	ring: () => void;
}

/**
 * How often in a row the event loop may come round, at least so far apart, with nothing happening
 * before a request counts as stalled. A mere time would take a busy machine for a stalled server.
 */
const STALL_TURNS = 40;
const TURN_MS = 5;

/**
 * A clock that jumps to the next thing to wait for as soon as nothing is under way: hours of waiting
 * pass in milliseconds, while requests on the loopback take the real time they need.
 */
export class VirtualClock implements Clock {
	/** Every sleep that was asked for, in milliseconds. */
	readonly sleeps: number[] = [];
	#now: number;
	#timers: Timer[] = [];
	#underWay = 0;
	#quietTurns = 0;
	#pump: NodeJS.Timeout | undefined;

	readonly #stallTurns: number;

	constructor(startAt = Date.UTC(2026, 10, 22, 12), stallTurns = STALL_TURNS) {
		this.#now = startAt;
		this.#stallTurns = stallTurns;
	}

	now(): number {
		return this.#now;
	}

	async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
		if (signal?.aborted) return;
		this.sleeps.push(durationMs);
		await this.wait(durationMs, signal);
	}

	/** As a sleep, but of something else than the nodes: it does not count among their sleeps. */
	async wait(durationMs: number, signal?: AbortSignal): Promise<void> {
		if (signal?.aborted) return;
		await new Promise<void>((resolve) => {
			const timer: Timer = {
				at: this.#now + durationMs,
				ring: () => {
					signal?.removeEventListener('abort', timer.ring);
					this.#timers = this.#timers.filter((other) => other !== timer);
					this.#event();
					resolve();
				},
			};
			this.#timers.push(timer);
			signal?.addEventListener('abort', timer.ring, { once: true });
			this.#event();
		});
	}

	/** Time stands still while such work is under way, unless it stalls. */
	begin(): () => void {
		this.#underWay++;
		this.#event();
		let isOver = false;
		return () => {
			if (isOver) return;
			isOver = true;
			this.#underWay--;
			this.#event();
		};
	}

	/** What is under way has not stalled. */
	moved(): void {
		this.#quietTurns = 0;
	}

	/** Ends the clock's own real timer. */
	stop(): void {
		this.#timers = [];
		clearTimeout(this.#pump);
	}

	#event(): void {
		this.#quietTurns = 0;
		this.#schedule(1);
	}

	#schedule(delayMs: number): void {
		clearTimeout(this.#pump);
		if (this.#timers.length === 0) return;
		this.#pump = setTimeout(() => {
			if (this.#underWay > 0 && this.#quietTurns++ < this.#stallTurns) {
				this.#schedule(TURN_MS);
				return;
			}
			this.#now = Math.max(this.#now, Math.min(...this.#timers.map(({ at }) => at)));
			// All that are due ring at once, as real ones do: what one of them starts holds none of them up.
			for (const timer of this.#timers.filter(({ at }) => at <= this.#now)) timer.ring();
		}, delayMs);
	}
}
