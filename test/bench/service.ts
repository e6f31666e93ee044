import { startEmulator, type Emulator, type EmulatorOptions } from '../emulator/emulator';

export const BENCH_KEY = 'bench-key';

interface ServiceOptions extends EmulatorOptions {
	/** Grows every result by so many megabytes. */
	resultMegabytes?: number;
}

/** The service of one measurement. It is in this process, since what is measured is n8n's. */
export interface Service {
	emulator: Emulator;
	apiUrl: string;
	/** When the images that arrived had arrived. */
	downloadedAtMs: () => number[];
	stop: () => Promise<void>;
}

/** Starts an emulator without pictures. Whoever calls this must `stop` it. */
export async function startService({
	resultMegabytes = 0,
	...options
}: ServiceOptions): Promise<Service> {
	const emulator = await startEmulator({ apiKeys: [BENCH_KEY], pictures: false, ...options });
	if (resultMegabytes > 0) {
		const grown = { kind: 'hugeBody', megabytes: resultMegabytes } as const;
		emulator.faults.add({ at: 'download', times: Infinity, ...grown });
	}
	return {
		emulator,
		apiUrl: emulator.apiUrl,
		downloadedAtMs: () =>
			emulator.requests
				.filter(({ server, status }) => server === 'cdn' && status === 200)
				.map(({ endedAtMs = 0 }) => endedAtMs),
		stop: async () => {
			await emulator.close();
		},
	};
}
