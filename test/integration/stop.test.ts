import { once } from 'node:events';
import { Readable } from 'node:stream';

import type { IExecuteFunctions, INodeType } from 'n8n-workflow';

import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import type { FaultPlace } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { deferred } from '../support/deferred';
import { storeBinary, type EngineOptions, type EngineResult } from '../support/engine';
import { RETRIES, useScene } from '../support/scene';

// What the log says of an answer that comes after Stop is tested in unit/jobBook.

/** From Stop until nothing moves any more. */
const SILENCE_MS = 1000;
const PROMPT = { prompt: '={{ "item " + $itemIndex }}' };
const items = (count: number) => Array.from({ length: count }, () => ({ json: {} }));

const scene = useScene({ jobDurationMs: 0 });
/** Stops the execution. */
let stop: ReturnType<typeof deferred>;

beforeEach(() => {
	stop = deferred();
});

interface Stopped extends EngineResult {
	/** From Stop to the end of the run, in real time or on the nodes' clock, whichever is more. */
	silenceMs: number;
	/** Requests that came in after Stop. */
	lateRequests: number;
}

const realTime = async (ms: number) => await new Promise((resolve) => setTimeout(resolve, ms));

/** Runs what `stop` ends. A sleep that goes on after it passes at once, and shows on the nodes' clock alone. */
async function runUntilStopped(options: EngineOptions): Promise<Stopped> {
	const { clock, emulator } = scene;
	let stoppedAt = { realMs: Number.NaN, virtualMs: Number.NaN, requests: Number.NaN };
	void stop.promise.then(() => {
		const requests = emulator.requests.length;
		stoppedAt = { realMs: performance.now(), virtualMs: clock.now(), requests };
	});
	const result = await scene.run({ ...options, cancelWhen: stop.promise });
	const { realMs, virtualMs, requests } = stoppedAt;
	const silenceMs = Math.max(performance.now() - realMs, clock.now() - virtualMs);
	// Whatever were still to come would come now.
	await realTime(50);
	return { ...result, silenceMs, lateRequests: emulator.requests.length - requests };
}

/** Lets time stand still from now on, and stops the execution a moment later. */
function stopSoon(): void {
	scene.clock.begin();
	setTimeout(stop.resolve, 30);
}

type Trouble = { at: FaultPlace } & ({ kind: 'stall' | 'stallBody' } | { status: number });

/** Stops a run as soon as one item is stalled, or two have been told to pause. */
async function stopAt(trouble: Trouble, options: EngineOptions): Promise<Stopped> {
	const { requests, faults } = scene.emulator;
	const isPause = 'status' in trouble;
	const stopOnceAnswered = (): void => {
		if (!isPause || requests.every(({ endedAtMs }) => endedAtMs !== undefined)) stopSoon();
		else setTimeout(stopOnceAnswered, 10);
	};
	let struck = 0;
	faults.add({
		...(isPause ? { kind: 'respond', headers: { 'retry-after': '20' }, ...trouble } : trouble),
		times: Infinity,
		match: () => {
			scene.clock.begin();
			if (++struck === (isPause ? 2 : 1)) setTimeout(stopOnceAnswered, 30);
			return true;
		},
	});
	return await runUntilStopped({ nodeSettings: RETRIES, ...options });
}

const TWO_AT_A_TIME: EngineOptions = {
	node: 'imageGenerate',
	parameters: { ...PROMPT, options: { maxConcurrentJobs: 2 } },
	items: items(4),
};

// The first of them, since it measures no time: the first run loads what all of them need.
it('leaves what it stopped where a retry collects it', async () => {
	const first = await stopAt({ at: 'poll', kind: 'stall' }, TWO_AT_A_TIME);
	scene.emulator.faults.clear();
	const again = await scene.generate(PROMPT, { items: items(4), retryOf: first });
	expect(again.items).toHaveLength(4);
	expect(scene.paidPrompts()).toEqual(['item 0', 'item 1', 'item 2', 'item 3']);
});

it.each<Trouble>([
	{ at: 'poll', kind: 'stall' },
	{ at: 'poll', kind: 'stallBody' },
	{ at: 'download', kind: 'stall' },
	{ at: 'download', kind: 'stallBody' },
	{ at: 'poll', status: 429 },
	{ at: 'poll', status: 503 },
	{ at: 'download', status: 503 },
])('ends within a second what is under way, and names the jobs: %j', async (trouble) => {
	const { silenceMs, lateRequests, calls, log } = await stopAt(trouble, TWO_AT_A_TIME);
	expect(silenceMs).toBeLessThan(SILENCE_MS);
	expect(lateRequests).toBe(0);
	expect(scene.paidPrompts()).toEqual(['item 0', 'item 1']);
	const line = log.findLast((each) => each.startsWith('info The execution was stopped'));
	for (const { jobId } of scene.emulator.submits) expect(line).toContain(jobId);
	// n8n runs the node again, and its signal is aborted from the start.
	expect(calls).toBe(3);
});

it.each<Trouble>([
	{ at: 'poll', kind: 'stall' },
	{ at: 'download', kind: 'stallBody' },
	{ at: 'poll', status: 503 },
])('ends Get Job within a second: %j', async (trouble) => {
	const ids = [scene.emulator.jobs.add().id, scene.emulator.jobs.add().id];
	const { silenceMs, lateRequests } = await stopAt(trouble, {
		node: 'getJob',
		parameters: { jobId: '={{ $json.id }}', waitForCompletion: true },
		items: ids.map((id) => ({ json: { id } })),
	});
	expect(silenceMs).toBeLessThan(SILENCE_MS);
	expect(lateRequests).toBe(0);
});

it('logs the jobs that are still running, not those that are finished', async () => {
	scene.wishes.push({ durationMs: 0 }, { durationMs: Infinity });
	const startedAtMs = scene.clock.now();
	scene.emulator.faults.add({
		at: 'poll',
		kind: 'stall',
		match: () => {
			const isLate = scene.clock.now() - startedAtMs >= 10_000;
			if (isLate) stopSoon();
			return isLate;
		},
	});
	const { log } = await runUntilStopped({
		node: 'imageGenerate',
		parameters: PROMPT,
		items: items(2),
	});
	const line = log.find((each) => each.startsWith('info The execution was stopped'));
	expect(line).toContain(scene.jobIdOf(1));
	expect(line).not.toContain(scene.jobIdOf(0));
});

it('sends nothing in an execution that was stopped before', async () => {
	const result = await scene.generate({}, { nodeSettings: RETRIES, cancelWhen: Promise.resolve() });
	expect(result.items).toEqual([]);
	expect(scene.emulator.requests).toEqual([]);
});

describe('during the paid POST', () => {
	/** Stops a run while the API holds back its answers to two POSTs. */
	async function stopWhilePosting(answer: Promise<void>): Promise<Stopped> {
		let count = 0;
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'hold',
			until: answer,
			times: 2,
			match: () => {
				scene.clock.begin();
				if (++count === 2) stopSoon();
				return true;
			},
		});
		return await runUntilStopped({ node: 'imageGenerate', parameters: PROMPT, items: items(2) });
	}

	/** The two lines that come into n8n's log with the answers. */
	async function lateLines(log: string[], answer: () => void): Promise<string[]> {
		const before = log.length;
		answer();
		for (let turn = 0; turn < 200 && log.length < before + 2; turn++) await realTime(5);
		// Jest fails a test with an unhandled rejection, if that comes before its end.
		await realTime(30);
		return log.slice(before).sort();
	}

	it('ends at once, and the late job IDs go to the log', async () => {
		const answer = deferred();
		const { silenceMs, log } = await stopWhilePosting(answer.promise);
		expect(silenceMs).toBeLessThan(SILENCE_MS);
		const { submits, requests } = scene.emulator;
		for (const { jobId } of submits) expect(log.join()).not.toContain(jobId);
		expect(log.filter((line) => line.startsWith('warn It is')).sort()).toEqual([
			expect.stringMatching(/^warn It is not known whether .* a job for item 0\b/),
			expect.stringMatching(/^warn It is not known whether .* a job for item 1\b/),
		]);
		expect(await lateLines(log, answer.resolve)).toEqual(
			submits
				.map(({ jobId, fields }) => `${jobId} for ${fields.prompt}`)
				.map((job) => `info AetherForge started the job ${job}`)
				.sort(),
		);
		// The client has not hung up before.
		expect(requests.map(({ status }) => status)).toEqual([200, 200]);
	});

	it('logs a late refusal as no job', async () => {
		scene.emulator.apiKeys.clear();
		const answer = deferred();
		const { log } = await stopWhilePosting(answer.promise);
		expect(await lateLines(log, answer.resolve)).toEqual([
			expect.stringMatching(/^info AetherForge started no job for item 0, /),
			expect.stringMatching(/^info AetherForge started no job for item 1, /),
		]);
	});

	it('leaves the outcome as unknown, so that a retry pays nothing and says so', async () => {
		const answer = deferred();
		const retryOf = await stopWhilePosting(answer.promise);
		const { error } = await scene.generate(PROMPT, { items: items(2), retryOf, executionId: '2' });
		expect(error?.message).toBe('It is not known whether an earlier attempt started the job');
		expect(error?.description).toMatch(
			/It was not sent again\. .*A job may exist and be charged.* It is not known whether a job was started for item 1\.$/,
		);
		expect(scene.postCount()).toBe(2);
		answer.resolve();
	});

	/** The node with a storage that gives a file's first bytes, and then no more while it is sent. */
	function slowToUpload(files: Readable[]): INodeType {
		const inner = new ImageGenerate();
		return {
			description: inner.description,
			async execute(this: IExecuteFunctions) {
				const { helpers } = this;
				const open = helpers.getBinaryStream.bind(helpers);
				let isChecked = false;
				helpers.getBinaryStream = async (...given) => {
					const file = await open(...given);
					if (!isChecked) {
						isChecked = true;
						return file;
					}
					const stalled = new Readable({ read: () => undefined });
					stalled.push(await once(file, 'readable').then(() => file.read(4) as Buffer));
					file.destroy();
					files.push(stalled);
					stopSoon();
					return stalled;
				};
				return await inner.execute.call(this);
			},
		};
	}

	it('cancels an upload that is not finished, which starts no job and is not remembered', async () => {
		const picture = await storeBinary(tinyPicture('slow', 'png'), 'slow.png', 'image/png');
		const given: Partial<EngineOptions> = {
			parameters: { prompt: 'a', referenceImages: 'all', waitForCompletion: false },
			items: [{ json: {}, binary: { data: picture } }],
		};
		const files: Readable[] = [];
		const result = await runUntilStopped({ node: slowToUpload(files), ...given });
		expect(result.silenceMs).toBeLessThan(SILENCE_MS);
		expect(files).toHaveLength(1);
		const [post] = scene.emulator.requests;
		expect(post).toMatchObject({ method: 'POST', endedAtMs: expect.any(Number) as number });
		expect(post).not.toHaveProperty('status');
		expect(scene.emulator.submits).toEqual([]);
		expect(result.log.join('\n')).not.toMatch(/not known|AetherForge started/);
		for (const file of files) file.destroy();

		const again = await scene.generate({}, { ...given, retryOf: result });
		expect(again.items).toHaveLength(1);
		expect(scene.emulator.submits).toHaveLength(1);
	});
});
