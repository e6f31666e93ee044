import { once } from 'node:events';
import { Readable } from 'node:stream';

import type { IExecuteFunctions, INodeType } from 'n8n-workflow';

import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import type { FaultPlace } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import {
	startBinaryStorage,
	storeBinary,
	type EngineOptions,
	type EngineResult,
} from '../support/engine';
import { deferred } from '../support/deferred';
import { openScene, type Scene } from '../support/scene';

/** From Stop until nothing moves any more. */
const SILENCE_MS = 1000;

beforeAll(startBinaryStorage);
// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

let scene: Scene;

afterEach(async () => {
	await scene.close();
});

interface Stopped extends EngineResult {
	/** From Stop to the end of the run, in real time or on the nodes' clock, whichever is more. */
	silenceMs: number;
	/** Requests that came in after Stop. */
	lateRequestCount: number;
}

/** The node with a storage that gives a file's first bytes, and then no more while it is sent. */
function slowToUpload(onUpload: (file: Readable) => void): INodeType {
	const inner = new ImageGenerate();
	return {
		description: inner.description,
		async execute(this: IExecuteFunctions) {
			const { helpers } = this;
			const open = helpers.getBinaryStream.bind(helpers);
			let openedCount = 0;
			helpers.getBinaryStream = async (...given) => {
				const file = await open(...given);
				// The check has looked at the file before.
				if (++openedCount === 1) return file;
				const stalled = new Readable({ read: () => undefined });
				stalled.push(await once(file, 'readable').then(() => file.read(4) as Buffer));
				file.destroy();
				onUpload(stalled);
				return stalled;
			};
			return await inner.execute.call(this);
		},
	};
}

/** A sleep that goes on after Stop passes at once in real time, and shows on the nodes' clock alone. */
function silenceFromNow(): () => number {
	const { clock } = scene;
	const [realMs, virtualMs] = [performance.now(), clock.now()];
	return () => Math.max(performance.now() - realMs, clock.now() - virtualMs);
}

/** Stops an execution as soon as a fault strikes at a place, or `when` says. */
async function stopAt(
	fault: { at: FaultPlace; kind: 'stall' | 'stallBody' } | { at: FaultPlace; status: number },
	node: 'imageGenerate' | 'getJob' = 'imageGenerate',
): Promise<Stopped> {
	const { emulator } = scene;
	const stopped = deferred();
	let struckCount = 0;
	const stopOnceAnswered = () => {
		const isAnswered = emulator.requests.every(({ endedAtMs }) => endedAtMs !== undefined);
		if (isAnswered || !('status' in fault)) setTimeout(stopped.resolve, 30);
		else setTimeout(stopOnceAnswered, 10);
	};
	emulator.faults.add({
		times: Infinity,
		...('status' in fault
			? { at: fault.at, kind: 'respond', status: fault.status, headers: { 'retry-after': '20' } }
			: fault),
		match: () => {
			// Time stands still from now on, and Stop comes when both answers, if any, have come.
			scene.clock.begin();
			if (++struckCount === 2 || !('status' in fault)) setTimeout(stopOnceAnswered, 30);
			return true;
		},
	});
	let silence = () => Number.NaN;
	let requestCount = 0;
	void stopped.promise.then(() => {
		silence = silenceFromNow();
		requestCount = emulator.requests.length;
	});
	const ids = node === 'getJob' ? [emulator.jobs.add().id, emulator.jobs.add().id] : ['', ''];
	const result = await scene.run({
		node,
		parameters:
			node === 'getJob'
				? { jobId: '={{ $json.id }}', waitForCompletion: true }
				: { prompt: '={{ "item " + $itemIndex }}', options: { maxConcurrentJobs: 2 } },
		items: [...ids, '', ''].slice(0, node === 'getJob' ? 2 : 4).map((id) => ({ json: { id } })),
		nodeSettings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 },
		cancelWhen: stopped.promise,
	});
	const silenceMs = silence();
	// Whatever were still to come would come now.
	await new Promise((resolve) => setTimeout(resolve, 50));
	return { ...result, silenceMs, lateRequestCount: emulator.requests.length - requestCount };
}

function infoLines({ log }: EngineResult): string[] {
	return log.filter((line) => line.startsWith('info ') && line.includes('AetherForge'));
}

describe('Stop', () => {
	beforeEach(async () => {
		scene = await openScene({ jobDurationMs: 0 });
	});

	it.each([
		{ at: 'poll', kind: 'stall' },
		{ at: 'poll', kind: 'stallBody' },
		{ at: 'download', kind: 'stall' },
		{ at: 'download', kind: 'stallBody' },
		{ at: 'poll', status: 429 },
		{ at: 'poll', status: 503 },
		{ at: 'download', status: 503 },
	] as const)('ends within a second what is under way, and names the jobs: %j', async (fault) => {
		const { silenceMs, lateRequestCount, ...result } = await stopAt(fault);
		expect(silenceMs).toBeLessThan(SILENCE_MS);
		expect(lateRequestCount).toBe(0);
		expect(scene.paidPrompts()).toEqual(['item 0', 'item 1']);
		const stopLine = infoLines(result).at(-1);
		for (const { jobId } of scene.emulator.submits) expect(stopLine).toContain(jobId);
		// n8n runs the node again, and its signal is aborted from the start.
		expect(result.calls).toBe(3);
	});

	it.each([
		{ at: 'poll', kind: 'stall' },
		{ at: 'download', kind: 'stallBody' },
		{ at: 'poll', status: 503 },
	] as const)('ends Get Job within a second: %j', async (fault) => {
		const { silenceMs, lateRequestCount } = await stopAt(fault, 'getJob');
		expect(silenceMs).toBeLessThan(SILENCE_MS);
		expect(lateRequestCount).toBe(0);
	});

	it('submits nothing more out of the back-off after 429', async () => {
		const { silenceMs, lateRequestCount, log } = await stopAt({ at: 'submit', status: 429 });
		// 429 says that no job was started.
		expect(log.join('\n')).not.toContain('not known whether');
		expect(silenceMs).toBeLessThan(SILENCE_MS);
		expect(lateRequestCount).toBe(0);
		expect(scene.emulator.submits).toEqual([]);
	});

	it('remembers what it stopped, where n8n keeps it', async () => {
		const first = await stopAt({ at: 'poll', kind: 'stall' });
		scene.emulator.faults.clear();
		const again = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: '={{ "item " + $itemIndex }}' },
			items: Array.from({ length: 4 }, () => ({ json: { id: '' } })),
			retryOf: first,
		});
		expect(again.items).toHaveLength(4);
		expect(scene.paidPrompts()).toEqual(['item 0', 'item 1', 'item 2', 'item 3']);
	});
});

describe('Stop during the paid POST', () => {
	const TWO = [{ json: { id: 0 } }, { json: { id: 1 } }];
	const UNKNOWN = 'It is not known whether an earlier attempt started the job';

	interface StoppedPost extends EngineResult {
		silenceMs: number;
		/** Lets the API answer the POSTs, which it has done its work for. */
		answer: () => void;
	}

	/** Stops a run while the API holds back its answers to two POSTs. */
	async function stopWhilePosting(options: Partial<EngineOptions> = {}): Promise<StoppedPost> {
		const { clock, emulator } = scene;
		const held = deferred();
		const stopped = deferred();
		let count = 0;
		emulator.faults.add({
			at: 'submit',
			kind: 'hold',
			until: held.promise,
			times: 2,
			match: () => {
				clock.begin();
				if (++count === 2) setTimeout(stopped.resolve, 30);
				return true;
			},
		});
		let silence = () => Number.NaN;
		void stopped.promise.then(() => {
			silence = silenceFromNow();
		});
		const result = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: '={{ "item " + $itemIndex }}' },
			items: TWO,
			cancelWhen: stopped.promise,
			...options,
		});
		return { ...result, silenceMs: silence(), answer: held.resolve };
	}

	/** The lines that come into n8n's log after the end of a run: two of them, as many as POSTs. */
	async function lateLines({ log }: EngineResult, act: () => void): Promise<string[]> {
		const before = log.length;
		act();
		for (let turn = 0; turn < 200 && log.length < before + 2; turn++) {
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
		// Jest fails a test with an unhandled rejection, if that comes before its end.
		await new Promise((resolve) => setTimeout(resolve, 30));
		return log.slice(before);
	}

	beforeEach(async () => {
		scene = await openScene({ jobDurationMs: 0 });
	});

	it.each<[string, Partial<EngineOptions>]>([
		['that ends at the first failure', {}],
		['that continues on error', { nodeSettings: { onError: 'continueErrorOutput' } }],
	])('ends a run %s at once, and the late job IDs go to the log', async (_, options) => {
		const result = await stopWhilePosting(options);
		expect(result.silenceMs).toBeLessThan(SILENCE_MS);
		const jobIds = [0, 1].map((index) => scene.jobIdOf(index));
		expect(result.log.join()).not.toMatch(new RegExp(jobIds.join('|')));
		for (const index of [0, 1]) {
			expect(result.log).toContainEqual(
				expect.stringMatching(
					new RegExp(`^warn It is not known whether .* a job for item ${index}\\b`),
				),
			);
		}
		const lines = await lateLines(result, result.answer);
		expect(lines.sort()).toEqual(
			scene.emulator.submits
				.map(({ jobId, fields }) => {
					const item = fields.prompt?.replace('item ', '') ?? '';
					return `info AetherForge started the job ${jobId} for item ${item}`;
				})
				.sort(),
		);
		// The client has not hung up before.
		expect(scene.emulator.requests.map(({ status }) => status)).toEqual([200, 200]);
	});

	it('leaves the outcome as unknown, so that a retry pays nothing and says so', async () => {
		const first = await stopWhilePosting();
		const again = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: '={{ "item " + $itemIndex }}' },
			items: TWO,
			retryOf: first,
			executionId: '2',
		});
		expect(again.error?.message).toBe(UNKNOWN);
		expect(again.error?.description).toMatch(/A job may exist and be charged/);
		expect(again.error?.description).toMatch(
			/It was not sent again\. .* It is not known whether a job was started for item 1\.$/,
		);
		expect(scene.postCount()).toBe(2);
		await lateLines(first, first.answer);
	});

	it('logs a late refusal as no job', async () => {
		const apiKey = 'a key that the service does not know'.replaceAll(' ', '-');
		const result = await stopWhilePosting({ credential: { apiKey } });
		const lines = await lateLines(result, result.answer);
		expect(scene.emulator.submits).toEqual([]);
		expect(lines.sort()).toEqual([
			expect.stringMatching(/^info AetherForge started no job for item 0, /),
			expect.stringMatching(/^info AetherForge started no job for item 1, /),
		]);
	});

	it('logs a connection that is cut later as still unknown', async () => {
		const result = await stopWhilePosting();
		const lines = await lateLines(result, () => void scene.close());
		expect(lines.sort()).toEqual([
			expect.stringMatching(/^info It is still not known whether .* a job for item 0, /),
			expect.stringMatching(/^info It is still not known whether .* a job for item 1, /),
		]);
	});

	it('cancels an upload that is not finished, which starts no job and is not remembered', async () => {
		const stopped = deferred();
		const files: Readable[] = [];
		const node = slowToUpload((file) => {
			files.push(file);
			scene.clock.begin();
			setTimeout(stopped.resolve, 30);
		});
		let silence = () => Number.NaN;
		void stopped.promise.then(() => {
			silence = silenceFromNow();
		});
		const picture = await storeBinary(tinyPicture('slow', 'png'), 'slow.png', 'image/png');
		const given = {
			parameters: { prompt: 'a', referenceImages: 'all', waitForCompletion: false },
			items: [{ json: {}, binary: { data: picture } }],
		};
		const result = await scene.run({ node, ...given, cancelWhen: stopped.promise });
		expect(silence()).toBeLessThan(SILENCE_MS);
		expect(files).toHaveLength(1);
		await new Promise((resolve) => setTimeout(resolve, 50));
		const [post] = scene.emulator.requests;
		expect(post).toMatchObject({ method: 'POST', endedAtMs: expect.any(Number) as number });
		expect(post).not.toHaveProperty('status');
		expect(scene.emulator.submits).toEqual([]);
		expect(result.log.join('\n')).not.toMatch(/not known|AetherForge started/);
		for (const file of files) file.destroy();

		const again = await scene.run({ node: 'imageGenerate', ...given, retryOf: result });
		expect(again.items).toHaveLength(1);
		expect(scene.emulator.submits).toHaveLength(1);
	});
});

it('another item’s failure does not cut off a POST under way, whose job is awaited and named', async () => {
	const held = deferred();
	scene = await openScene({
		jobDurationMs: 0,
		onRequest: ({ status }) => {
			if (status === 400) setTimeout(held.resolve, 50);
		},
	});
	const { faults } = scene.emulator;
	faults.add({
		at: 'submit',
		kind: 'respond',
		status: 400,
		match: ({ form }) => form?.fields.prompt === 'item 0',
	});
	faults.add({
		at: 'submit',
		kind: 'hold',
		until: held.promise,
		match: ({ form }) => form?.fields.prompt === 'item 1',
	});
	const { error } = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: '={{ "item " + $itemIndex }}' },
		items: [{ json: {} }, { json: {} }],
	});
	expect(scene.emulator.submits).toHaveLength(1);
	expect(error?.context.data).toMatchObject({
		http_status: 400,
		running_job_ids: [scene.jobIdOf(0)],
	});
	expect(error?.description).toContain(scene.jobIdOf(0));
});

it('Stop ends the waiting for jobs that take long', async () => {
	const stopped = deferred();
	let silence = () => Number.NaN;
	let requestCount = 0;
	scene = await openScene({
		jobDurationMs: Infinity,
		onRequest: ({ method }) => {
			if (method !== 'GET' || scene.emulator.requests.length !== 12) return;
			silence = silenceFromNow();
			requestCount = scene.emulator.requests.length;
			stopped.resolve();
		},
	});
	const result = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'a', options: { timeout: 1_000_000 } },
		items: [{ json: {} }, { json: {} }],
		nodeSettings: { retryOnFail: true, maxTries: 2, waitBetweenTries: 1 },
		cancelWhen: stopped.promise,
	});
	expect(silence()).toBeLessThan(SILENCE_MS);
	expect(scene.emulator.submits).toHaveLength(2);
	// A status check may have left the node when Stop came.
	expect(scene.emulator.requests.length - requestCount).toBeLessThanOrEqual(2);
	for (const { jobId } of scene.emulator.submits) {
		expect(infoLines(result).at(-1)).toContain(jobId);
	}
});

it('an execution that was stopped before sends nothing', async () => {
	scene = await openScene();
	const result = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'a' },
		nodeSettings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 },
		cancelWhen: Promise.resolve(),
	});
	expect(result.items).toEqual([]);
	expect(scene.emulator.requests).toEqual([]);
});

it('Stop logs the jobs that are still running, not those that are finished', async () => {
	const stopped = deferred();
	scene = await openScene({
		wish: ({ fields }) => ({ durationMs: fields.prompt === '0' ? 0 : Infinity }),
	});
	const { emulator, clock } = scene;
	const startedAtMs = clock.now();
	emulator.faults.add({
		at: 'poll',
		kind: 'stall',
		match: () => {
			if (clock.now() - startedAtMs < 10_000) return false;
			clock.begin();
			setTimeout(stopped.resolve, 20);
			return true;
		},
	});
	const { log } = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: '={{ $json.id }}' },
		items: [{ json: { id: '0' } }, { json: { id: '1' } }],
		cancelWhen: stopped.promise,
	});
	const line = log.find((each) => each.startsWith('info The execution was stopped'));
	expect(line).toContain(emulator.submits.at(1)?.jobId);
	expect(line).not.toContain(emulator.submits.at(0)?.jobId);
});
