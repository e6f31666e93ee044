import { inspect } from 'node:util';
import { stringify } from 'flatted';
import type { INode, INodeParameters } from 'n8n-workflow';

import {
	startEmulator,
	type Emulator,
	type EmulatorOptions,
	type Fault,
	type ImageFormat,
	type JobWish,
	type RequestRecord,
} from '../emulator/emulator';
import { runEngine, startBinaryStorage, type EngineOptions, type EngineResult } from './engine';
import { EngineClock } from './virtualClock';

/** Distinctive, so that any trace of it anywhere is a leak. */
export const KEY = 'af-key-3f9c0d5e7b2a4816';

/** A node that n8n runs up to three times. */
export const RETRIES: Partial<INode> = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 };
/** A node that gives error items in place of failing. */
export const CONTINUES: Partial<INode> = { onError: 'continueRegularOutput' };

/** An emulator that lives by the same virtual clock as the node. */
export class Scene {
	constructor(
		readonly emulator: Emulator,
		readonly clock: EngineClock,
		/** What becomes of the next paid jobs, in their order, before what the options wish. */
		readonly wishes: JobWish[],
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

	/** Runs Image Generate, with the prompt "p" unless told otherwise. */
	generate = async (
		parameters: INodeParameters = {},
		options: Partial<EngineOptions> = {},
	): Promise<EngineResult> =>
		await this.run({
			node: 'imageGenerate',
			parameters: { prompt: 'p', ...parameters },
			...options,
		});

	/** Has the API refuse the next request with this prompt: HTTP 400. */
	refuse = (prompt: string): void => {
		const body = { detail: 'Invalid image file' };
		const match: Fault['match'] = ({ form }) => form?.fields.prompt === prompt;
		this.emulator.faults.add({ at: 'submit', kind: 'respond', status: 400, body, match });
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
}

/** A scene of its own for each test of a file, or of a group where it is called in one. */
export function useScene(options: EmulatorOptions = {}): Scene {
	let current: Scene | undefined;
	beforeAll(startBinaryStorage);
	beforeEach(async () => {
		current = await openScene(options);
	});
	afterEach(async () => {
		await current?.emulator.close();
	});
	return new Proxy({} as Scene, {
		get: (_, name: keyof Scene) => {
			if (!current) throw new Error('There is a scene only while a test runs');
			return current[name];
		},
	});
}

export async function openScene(
	options: EmulatorOptions = {},
	clock = new EngineClock(),
): Promise<Scene> {
	const wishes: JobWish[] = [];
	const emulator = await startEmulator({
		pictures: false,
		apiKeys: [KEY],
		now: () => clock.now(),
		...options,
		wish: (form, endpoint) => wishes.shift() ?? options.wish?.(form, endpoint),
	});
	return new Scene(emulator, clock, wishes);
}

/** The key goes to the API alone, and stays out of all that n8n shows, logs or saves. */
function expectKeyKept(emulator: Emulator, shown: EngineResult): void {
	const strays = emulator.requests.filter(
		({ server, path, headers }) =>
			headers.authorization !== undefined && !(server === 'api' && path.includes('/public/v1/')),
	);
	expect(strays).toEqual([]);
	const whole = { depth: Infinity, showHidden: true, maxStringLength: null, maxArrayLength: null };
	expect(stringify(shown)).not.toContain(KEY);
	expect(inspect(shown, whole)).not.toContain(KEY);
}
