/** What a command has started and must end, whatever happens: also on Ctrl-C. */
export class Started {
	/** What this process ends with when it is asked to end; 130 is a shell's own for Ctrl-C. */
	exitCode = 130;

	private readonly stops: (() => Promise<void> | void)[] = [];
	private stopped: Promise<void> | undefined;

	constructor() {
		const end = (): void => {
			void this.stopAll().finally(() => process.exit(this.exitCode));
		};
		for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
	}

	readonly add = (stop: () => Promise<void> | void): void => {
		this.stops.push(stop);
	};

	/** Ends everything, the last one first. Every caller waits for the end of it. */
	readonly stopAll = async (): Promise<void> => {
		this.stopped ??= this.stopEach();
		await this.stopped;
	};

	private async stopEach(): Promise<void> {
		for (let stop = this.stops.pop(); stop !== undefined; stop = this.stops.pop()) await stop();
	}
}
