/** Lets a limited number of pieces of work run at once; the others wait in line, in order. */
export class Semaphore {
	readonly #waiting: (() => void)[] = [];
	#free: number;

	/** @param limit at least 1 */
	constructor(limit: number) {
		this.#free = limit;
	}

	/** Runs the work once it is its turn. */
	async run<T>(work: () => Promise<T>): Promise<T> {
		if (this.#free > 0) this.#free--;
		else await new Promise<void>((resolve) => this.#waiting.push(resolve));
		try {
			return await work();
		} finally {
			const next = this.#waiting.shift();
			if (next) next();
			else this.#free++;
		}
	}
}
