import { inspect } from 'node:util';
import { stringify } from 'flatted';
import type { INode, INodeParameters } from 'n8n-workflow';

import {
	startEmulator,
	type Emulator,
	type EmulatorOptions,
	type ImageFormat,
	type JobWish,
	type RequestRecord,
} from '../emulator/emulator';
import { runEngine, startBinaryStorage, type EngineOptions, type EngineResult } from './engine';
import { VirtualClock } from './virtualClock';

/** Distinctive, so that any trace of it anywhere is a leak. */
export const KEY = 'af-key-3f9c0d5e7b2a4816';

/** A node that n8n runs up to three times. */
export const RETRIES: Partial<INode> = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 };
/** A node that gives error items in place of failing. */
export const CONTINUES: Partial<INode> = { onError: 'continueRegularOutput' };

/** An emulator that lives by the same virtual clock as the node. */
export interface Scene {
	emulator: Emulator;
	clock: VirtualClock;
	run: (options: EngineOptions) => Promise<EngineResult>;
	/** Runs Image Generate, with the prompt "p" unless told otherwise. */
	generate: (
		parameters?: INodeParameters,
		options?: Partial<EngineOptions>,
	) => Promise<EngineResult>;
	/** Has the API refuse the next request with this prompt: HTTP 400. */
	refuse: (prompt: string) => void;
	/** What becomes of the next paid jobs, in their order, before what the options wish. */
	wishes: JobWish[];
	/** How often the paid POST came in. */
	postCount: () => number;
	/** The prompts of the accepted submits, in order. */
	paidPrompts: () => (string | undefined)[];
	/** The ID of the job that the submit of this index, from 0, has started. */
	jobIdOf: (index: number) => string;
	/** The status checks that came in. */
	polls: () => RequestRecord[];
	/** The requests for results that came in. */
	downloads: () => RequestRecord[];
	/** @param number of the result, from 1 */
	resultUrl: (jobId: string, number: number, format?: ImageFormat) => string;
	close: () => Promise<void>;
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
	return new Proxy<Partial<Scene>>(
		{},
		{
			get: (_, name: keyof Scene) => {
				if (!current) throw new Error('There is a scene only while a test runs');
				return current[name];
			},
		},
	) as Scene;
}

export async function openScene(
	options: EmulatorOptions = {},
	clock = new VirtualClock(),
): Promise<Scene> {
	const wishes: JobWish[] = [];
	const emulator = await startEmulator({
		pictures: false,
		apiKeys: [KEY],
		now: () => clock.now(),
		...options,
		wish: (form, endpoint) => wishes.shift() ?? options.wish?.(form, endpoint),
	});
	const scene: Scene = {
		emulator,
		clock,
		run: async ({ credential, ...rest }) => {
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
		},
		generate: async (parameters = {}, options = {}) =>
			await scene.run({
				node: 'imageGenerate',
				parameters: { prompt: 'p', ...parameters },
				...options,
			}),
		refuse: (prompt) => {
			emulator.faults.add({
				at: 'submit',
				kind: 'respond',
				status: 400,
				body: { detail: 'Invalid image file' },
				match: ({ form }) => form?.fields.prompt === prompt,
			});
		},
		wishes,
		postCount: () => emulator.requests.filter(({ method }) => method === 'POST').length,
		paidPrompts: () => emulator.submits.map(({ fields }) => fields.prompt),
		jobIdOf: (index) => {
			const submit = emulator.submits[index];
			if (!submit) throw new Error(`there was no submit ${index}`);
			return submit.jobId;
		},
		polls: () => emulator.requests.filter(({ path }) => path.startsWith('/public/v1/job/')),
		downloads: () => emulator.requests.filter(({ server }) => server === 'cdn'),
		resultUrl: (jobId, number, format = 'png') =>
			`${emulator.cdnUrl}/results/${jobId}/${number}.${format}`,
		close: async () => {
			await emulator.close();
		},
	};
	return scene;
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
	return JSON.stringify([
		items,
		errorItems,
		error?.message,
		error?.description,
		error?.context,
		hints,
	]);
}
