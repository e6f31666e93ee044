import { inspect } from 'node:util';
import { stringify } from 'flatted';

import {
	startEmulator,
	type Emulator,
	type EmulatorOptions,
	type ImageFormat,
	type RequestRecord,
} from '../emulator/emulator';
import { runEngine, startBinaryStorage, type EngineOptions, type EngineResult } from './engine';
import { EngineClock } from './virtualClock';

/** Distinctive, so that any trace of it anywhere is a leak. */
export const KEY = 'af-key-3f9c0d5e7b2a4816';

/** An emulator that lives by the same virtual clock as the node. */
export class Scene {
	constructor(
		readonly emulator: Emulator,
		readonly clock: EngineClock,
	) {}

	/** Runs a node with the key for this emulator. */
	run = async ({ credential, ...rest }: EngineOptions): Promise<EngineResult> => {
		const { emulator, clock } = this;
		const result = await runEngine({
			clock,
			credential: (itemIndex) => ({
				apiKey: KEY,
				baseUrl: emulator.apiUrl,
				...(typeof credential === 'function' ? credential(itemIndex) : credential),
			}),
			...rest,
		});
		expectKeyKept(emulator, result);
		return result;
	};

	/** How often the paid POST came in. */
	postCount = () => this.emulator.requests.filter(({ method }) => method === 'POST').length;

	/** The prompts of the accepted submits, in order. */
	paidPrompts = () => this.emulator.submits.map(({ fields }) => fields.prompt);

	/** The ID of the job that the submit of this index, from 0, has started. */
	jobIdOf = (index: number): string => {
		const submit = this.emulator.submits[index];
		if (!submit) throw new Error(`there was no submit ${index}`);
		return submit.jobId;
	};

	/** The status checks that came in. */
	polls = (): RequestRecord[] =>
		this.emulator.requests.filter(({ path }) => path.startsWith('/public/v1/job/'));

	/** The requests for results that came in. */
	downloads = (): RequestRecord[] =>
		this.emulator.requests.filter(({ server }) => server === 'cdn');

	/** @param number of the result, from 1 */
	resultUrl = (jobId: string, number: number, format: ImageFormat = 'png') =>
		`${this.emulator.cdnUrl}/results/${jobId}/${number}.${format}`;

	close = async (): Promise<void> => {
		await this.emulator.close();
	};
}

/** A scene of its own for each test of a file, or of a group where it is called in one. */
export function useScene(options: EmulatorOptions = {}): Scene {
	let current: Scene | undefined;
	beforeAll(startBinaryStorage);
	beforeEach(async () => {
		current = await openScene(options);
	});
	afterEach(async () => {
		await current?.close();
	});
	return new Proxy({} as Scene, {
		get: (_, name: keyof Scene) => {
			if (!current) throw new Error('There is a scene only while a test runs');
			return current[name];
		},
	});
}

export async function openScene(options: EmulatorOptions = {}): Promise<Scene> {
	const clock = new EngineClock();
	const own = { pictures: false, apiKeys: [KEY], now: () => clock.now() };
	return new Scene(await startEmulator({ ...own, ...options }), clock);
}

/** The key goes to the API alone, and stays out of all that n8n shows, logs or saves. */
function expectKeyKept(emulator: Emulator, result: EngineResult): void {
	const strays = emulator.requests.filter(
		({ server, path, headers }) =>
			headers.authorization !== undefined && !(server === 'api' && path.includes('/public/v1/')),
	);
	expect(strays).toEqual([]);
	const { saved, items, errorItems, error, hints, log } = result;
	const shown = { saved, items, errorItems, error, hints, log };
	const whole = { depth: Infinity, showHidden: true, maxStringLength: null, maxArrayLength: null };
	expect(stringify(shown)).not.toContain(KEY);
	expect(inspect(shown, whole)).not.toContain(KEY);
}

/** The job IDs that a person or a workflow gets to see other than in the log. */
export function shownText({ items, errorItems, error, hints }: EngineResult): string {
	const { message, description, context } = error ?? {};
	return JSON.stringify([items, errorItems, message, description, context, hints]);
}
