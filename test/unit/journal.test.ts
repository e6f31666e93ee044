import * as fc from 'fast-check';
import type { IExecuteFunctions } from 'n8n-workflow';

import { Journal, type Recorded } from '../../nodes/shared/engine/jobs/journal';
import type { JobSlot } from '../../nodes/shared/engine/jobs/plan';
import { VirtualClock } from '../support/virtualClock';
import { Deduplication } from '../simulator/disk';
import { fakeContext, slotOf, storeIn } from './fakeContext';

type Helpers = IExecuteFunctions['helpers'];

const TEXTS_PER_JOB = 36;
const UNKNOWN: Recorded = { outcomeUnknown: true };
const HOUR_MS = 3_600_000;

const idOf = (number: number) => `0a1b2c3d-0000-4000-8000-${String(number).padStart(12, '0')}`;
const jobOf = (number: number): Recorded => ({ jobId: idOf(number) });

let clock: VirtualClock;
let store: Deduplication;
let workflowCount = 0;
let workflowId: string;

beforeEach(() => {
	clock = new VirtualClock();
	store = new Deduplication(clock, 4);
	// What the module holds of a row outlives a test, as it outlives a run.
	workflowId = `w${workflowCount++}`;
});

interface Attempt {
	executionId?: string;
	mode?: 'trigger' | 'retry';
	/** The first attempt, where n8n has not forgotten it, and what it has saved of each job. */
	first?: string;
	saved?: 'alive' | 'unknown';
	/** What the trigger put out; of equal ones nothing tells which is which. */
	origin?: string;
	items?: number;
	/** Jobs of the execution, with those of earlier rounds. */
	jobsOfAll?: number;
	helpers?: Partial<Helpers>;
}

const HELPERS = storeIn(
	() => store,
	() => workflowId,
);

/** n8n's helpers, with something that happens before each write. */
function writingAfter(before: () => Promise<void>): Partial<Helpers> {
	return {
		checkProcessedAndRecord: async (...given) => {
			await before();
			return await HELPERS.checkProcessedAndRecord(...given);
		},
	};
}

async function open(given: Attempt = {}): Promise<{ journal: Journal; failures: string[] }> {
	const {
		executionId = '1',
		mode = 'trigger',
		origin = 'a',
		items = 3,
		jobsOfAll = 1,
		helpers,
	} = given;
	const { first = mode === 'trigger' ? executionId : undefined } = given;
	const failures: string[] = [];
	const n8n = {
		getWorkflow: () => ({ id: workflowId }),
		getExecutionId: () => executionId,
		getMode: () => mode,
		helpers: { ...HELPERS, ...helpers },
	};
	const attempt = {
		firstExecutionId: first,
		hasEnded: false,
		keyOf: async (itemIndex: number) => await Promise.resolve(`${origin} ${itemIndex}`),
		end: () => undefined,
	};
	const onFailure = (reason: string) => failures.push(reason);
	const journal = new Journal(fakeContext({}, n8n), clock, attempt, () => jobsOfAll, onFailure);
	for (let itemIndex = 0; itemIndex < items; itemIndex++) await journal.prepare(itemIndex);
	return { journal, failures };
}

/** n8n starts again: its database is as it was, and the nodes remember nothing. */
function restart(): void {
	const texts = row();
	workflowId = `w${workflowCount++}`;
	store.rows.clear();
	store.rows.set(`${workflowId} n:node`, [...texts]);
}

/** What a retry finds after a crash, by item and variation. */
async function recalled(given: Attempt = {}): Promise<Record<string, Recorded>> {
	restart();
	const { items = 3, saved } = given;
	const { journal } = await open({ executionId: '2', mode: 'retry', ...given });
	const found = await clock.run(journal.recall([...Array(items).keys()], () => saved));
	journal.close();
	return Object.fromEntries(
		found.map(({ slot, recorded }) => [`${slot.itemIndex}.${slot.jobNumber}`, recorded]),
	);
}

async function intend(journal: Journal, slot: JobSlot, hasFiles = false) {
	return await clock.run(journal.intend(slot, undefined, hasFiles));
}

async function start(journal: Journal, slot: JobSlot, jobId: string, hasFiles = false) {
	await intend(journal, slot, hasFiles);
	journal.started(slot, jobId);
	await settled();
}

/** A job for each of the first items. */
async function startAll(journal: Journal, firstJob: number, jobs: number): Promise<void> {
	for (let at = 0; at < jobs; at++) {
		await intend(journal, slotOf(at));
		journal.started(slotOf(at), idOf(firstJob + at));
	}
}

/** An execution that starts so many jobs and ends. */
async function execution(given: Attempt, firstJob = 1, jobs = 1): Promise<void> {
	const { journal } = await open({ items: jobs, ...given });
	await startAll(journal, firstJob, jobs);
	await settled();
	journal.close();
	await settled();
}

/** Lets what nobody waits for come to its end. */
async function settled(): Promise<void> {
	await clock.run(clock.wait(10_000, 'n8n'));
}

const row = () => store.rows.get(`${workflowId} n:node`) ?? [];

describe('after a crash', () => {
	/** A retry of an execution that was stopped before an answer came. */
	const LATE: Attempt = { first: '1', saved: 'unknown' };

	it('each request is found as it was: its job, its unknown outcome, or nothing', async () => {
		const steps = fc.array(
			fc.record({
				item: fc.nat(2),
				variation: fc.constantFrom(1, 2, 20),
				step: fc.constantFrom('sent', 'started', 'withdrawn'),
			}),
			{ maxLength: 12 },
		);
		await fc.assert(
			fc.asyncProperty(steps, async (all) => {
				workflowId = `w${workflowCount++}`;
				const { journal } = await open();
				const expected: Record<string, Recorded> = {};
				for (const [index, { item, variation, step }] of all.entries()) {
					const slot = slotOf(item, variation);
					const name = `${item}.${variation}`;
					if (expected[name]) continue;
					await intend(journal, slot);
					if (step === 'started') journal.started(slot, idOf(index));
					if (step === 'withdrawn') journal.withdraw(slot);
					else expected[name] = step === 'started' ? jobOf(index) : UNKNOWN;
				}
				await settled();
				journal.close();
				expect(await recalled()).toEqual(expected);
				// Looking leaves no trace.
				expect(await recalled()).toEqual(expected);
				expect(await recalled({ first: '1' })).toEqual(expected);
			}),
			{ numRuns: 40 },
		);
	});

	it.each<[string, string, Attempt, Record<string, Recorded>]>([
		['a job is not found for another trigger’s output', idOf(1), { origin: 'b' }, {}],
		['an ID of another kind is an unknown outcome', idOf(1).slice(1), {}, { '0.1': UNKNOWN }],
		['of what n8n has saved only the unknown is asked for', idOf(1), LATE, { '0.1': jobOf(1) }],
		['what n8n has saved is not asked for', idOf(1), { ...LATE, saved: 'alive' }, {}],
		['what n8n knows as another execution’s is not found', idOf(1), { first: '7' }, {}],
	])('%s', async (_, jobId, retry, expected) => {
		const { journal } = await open();
		await start(journal, slotOf(0), jobId);
		journal.close();
		expect(await recalled(retry)).toEqual(expected);
	});

	it('an ID of which the row has lost a digit is an unknown outcome', async () => {
		await execution({});
		store.rows.set(`${workflowId} n:node`, row().slice(0, -1));
		expect(await recalled()).toEqual({ '0.1': UNKNOWN });
	});

	it('the answer is found that came when a stopped run had ended', async () => {
		const { journal } = await open();
		await intend(journal, slotOf(0));
		await intend(journal, slotOf(1));
		journal.close(true);
		journal.started(slotOf(0), idOf(1));
		journal.withdraw(slotOf(1));
		await settled();
		expect(await recalled(LATE)).toEqual({ '0.1': jobOf(1) });
	});

	it('a retry that was killed while it was asking has changed nothing, or left an unknown outcome', async () => {
		await execution({});
		for (let killedAfterMs = 0; killedAfterMs < 200; killedAfterMs += 7) {
			const before = structuredClone([...store.rows]);
			const retry = await open({ executionId: '3', mode: 'retry' });
			void retry.journal.recall([0, 1, 2], () => undefined);
			await clock.run(clock.wait(killedAfterMs, 'service'));
			clock.crash();
			store = new Deduplication(clock, 4);
			for (const [, texts] of before) store.rows.set(`${workflowId} n:node`, texts);
			const found = await recalled();
			expect([jobOf(1), UNKNOWN]).toContainEqual(found['0.1']);
			expect(Object.keys(found)).toEqual(['0.1']);
		}
	});
});

it.each<[string, boolean, 'answered' | 'open' | 'stopped' | 'ended' | 'recalled', Recorded]>([
	['the latest job, where they are interchangeable', false, 'answered', jobOf(2)],
	['the latest job, also if the first one’s answer is late', false, 'open', jobOf(2)],
	['an unknown outcome, where each had its files', true, 'answered', UNKNOWN],
	['an unknown outcome, also if the first one’s answer is late', true, 'open', UNKNOWN],
	['an unknown outcome, also if the first one was stopped', true, 'stopped', UNKNOWN],
	['an unknown outcome, also if a retry of the first one has ended', true, 'recalled', UNKNOWN],
	['the latest job, once n8n has saved the first one', true, 'ended', jobOf(2)],
])('two executions that began alike have %s', async (_, hasFiles, first, expected) => {
	const { journal } = await open();
	await intend(journal, slotOf(0));
	if (first !== 'open') journal.started(slotOf(0), idOf(1));
	await settled();
	if (first === 'recalled') await recalled();
	else if (first === 'stopped' || first === 'ended') journal.close(first === 'stopped');
	const { journal: second } = await open({ executionId: '7' });
	await start(second, slotOf(0), idOf(2), hasFiles);
	if (first === 'open') journal.started(slotOf(0), idOf(1));
	await settled();
	expect(await recalled()).toEqual({ '0.1': expected });
});

it('tells an execution that n8n runs again what it has sent before', async () => {
	const { journal } = await open();
	await start(journal, slotOf(0), idOf(1));
	await intend(journal, slotOf(1));
	journal.close();
	const again = (await open()).journal;
	expect(await intend(again, slotOf(0))).toEqual(jobOf(1));
	expect(await intend(again, slotOf(1))).toEqual(UNKNOWN);
	expect(await intend(again, slotOf(2))).toBeUndefined();
});

it('tells a retry what another one beside it has sent', async () => {
	const retry = async () => (await open({ executionId: '8', mode: 'retry' })).journal;
	const [first, second, third] = [await retry(), await retry(), await retry()];
	const sideBySide = [first, second].map(async (journal) => {
		return await journal.intend(slotOf(0), undefined, false);
	});
	expect(await clock.run(Promise.all(sideBySide))).toEqual([undefined, UNKNOWN]);
	// Which is not for the second one to take back, nor to take over.
	second.withdraw(slotOf(0));
	await clock.run(second.recall([0], () => undefined));
	first.started(slotOf(0), idOf(1));
	await settled();
	expect(await intend(third, slotOf(0))).toEqual(jobOf(1));
});

it('leaves a failed job as it is for the retry that replaces it, beside another one', async () => {
	await start((await open()).journal, slotOf(0), idOf(1));
	restart();
	const retry = async () => (await open({ executionId: '8', mode: 'retry' })).journal;
	const [first, second] = [await retry(), await retry()];
	for (const journal of [first, second]) await clock.run(journal.recall([0], () => undefined));
	const failed = { ...jobOf(1), submittedAtMs: 0, executionId: '1', hasFailed: true as const };
	expect(await clock.run(second.intend(slotOf(0), failed, false))).toEqual(UNKNOWN);
	const found = [{ slot: slotOf(0), recorded: jobOf(1), isOpen: false }];
	expect(await clock.run(first.recall([0], () => 'failed'))).toEqual(found);
	expect(await clock.run(first.intend(slotOf(0), failed, false))).toBeUndefined();
	expect(await clock.run(second.intend(slotOf(0), failed, false))).toEqual(UNKNOWN);
	first.started(slotOf(0), idOf(2));
	await settled();
	expect(await clock.run(second.intend(slotOf(0), failed, false))).toEqual(jobOf(2));
});

it.each([true, false])(
	'leaves unknown what one sent that began alike, if this one sends nothing; answered: %s',
	async (isStarted) => {
		const [first, second] = [await open(), await open({ executionId: '2' })];
		await intend(first.journal, slotOf(0));
		if (isStarted) first.journal.started(slotOf(0), idOf(1));
		for (let attempt = 1; attempt <= 2; attempt++) {
			expect(await intend(second.journal, slotOf(0))).toBeUndefined();
			second.journal.withdraw(slotOf(0));
			await settled();
		}
		expect(await recalled()).toEqual({ '0.1': UNKNOWN });
	},
);

it('finds nothing of what another retry takes back in the same moment', async () => {
	const retry = async () => (await open({ executionId: '8', mode: 'retry' })).journal;
	const [first, second] = [await retry(), await retry()];
	await intend(first, slotOf(0));
	const found = second.recall([0], () => undefined);
	clock.after(10, 'n8n', () => {
		first.withdraw(slotOf(0));
	});
	expect(await clock.run(found)).toEqual([]);
});

it.each([true, false])(
	'keeps the order of what is taken back, announced again: %s',
	async (isAgain) => {
		const { journal } = await open();
		await intend(journal, slotOf(0));
		// The database is at the first of these while the second one waits.
		const waiting = [slotOf(1), slotOf(2)].map(async (slot) => {
			await journal.intend(slot, undefined, false);
		});
		journal.withdraw(slotOf(0));
		const again = isAgain ? journal.intend(slotOf(0), undefined, false) : undefined;
		await clock.run(Promise.all([...waiting, again]));
		await settled();
		const expected = { '1.1': UNKNOWN, '2.1': UNKNOWN, ...(isAgain && { '0.1': UNKNOWN }) };
		expect(await recalled()).toEqual(expected);
	},
);

it.each<[string, Recorded, string | undefined, Recorded]>([
	['the job that was started in the place of one that had failed', jobOf(1), idOf(2), jobOf(2)],
	['the job that was started in the place of an unknown outcome', UNKNOWN, idOf(2), jobOf(2)],
	['the unknown outcome in whose place none could be started', UNKNOWN, undefined, UNKNOWN],
])('finds of a retry %s', async (_, first, jobId, expected) => {
	const { journal: before } = await open();
	await intend(before, slotOf(0));
	if ('jobId' in first) before.started(slotOf(0), first.jobId);
	await settled();
	restart();
	const { journal } = await open({ executionId: '3', mode: 'retry' });
	await clock.run(journal.recall([0], () => undefined));
	const earlier = { ...first, submittedAtMs: 0, executionId: '1' };
	expect(await clock.run(journal.intend(slotOf(0), earlier, false))).toBeUndefined();
	if (jobId === undefined) journal.withdraw(slotOf(0));
	else journal.started(slotOf(0), jobId);
	await settled();
	expect(await recalled()).toEqual({ '0.1': expected });
});

it('keeps what a retry waits for, whatever others do meanwhile, in case of a second crash', async () => {
	const { journal } = await open();
	await startAll(journal, 1, 3);
	await settled();
	restart();
	const retry = await open({ executionId: '3', mode: 'retry' });
	const found = await clock.run(retry.journal.recall([0, 1, 2], () => undefined));
	expect(found).toHaveLength(3);
	for (let run = 0; run < 70; run++) {
		await execution({ executionId: `9${run}`, origin: `run ${run}` }, 100 + run);
	}
	expect(Object.values(await recalled())).toEqual([jobOf(1), jobOf(2), jobOf(3)]);
});

describe('a database that does not do its part', () => {
	it('costs the run nothing when it fails, and is told once', async () => {
		const broken = async () => await Promise.reject(new Error('no such table: processed_data'));
		const { journal, failures } = await open({
			helpers: { checkProcessedAndRecord: broken, getProcessedDataCount: broken },
		});
		const beganAtMs = clock.now();
		expect(await intend(journal, slotOf(0))).toBeUndefined();
		journal.started(slotOf(0), idOf(1));
		expect(await intend(journal, slotOf(1))).toBeUndefined();
		journal.close();
		await clock.run(Promise.resolve());
		expect(failures).toEqual(['no such table: processed_data']);
		expect(clock.now()).toBe(beganAtMs);
	});

	it('holds a run up for two seconds at most when it hangs, and comes to its writes later', async () => {
		let isLocked = true;
		const helpers = writingAfter(async () => {
			while (isLocked) await clock.wait(500, 'n8n');
		});
		const { journal, failures } = await open({ helpers });
		const beganAtMs = clock.now();
		await intend(journal, slotOf(0));
		await intend(journal, slotOf(1));
		expect(clock.now() - beganAtMs).toBeGreaterThanOrEqual(2000);
		expect(clock.now() - beganAtMs).toBeLessThan(2100);
		journal.started(slotOf(0), idOf(1));
		expect(failures).toEqual(['it has not answered for 2 seconds']);
		const other = await open({ executionId: '5', origin: 'other', helpers });
		const otherBeganAtMs = clock.now();
		await intend(other.journal, slotOf(0));
		expect(clock.now()).toBe(otherBeganAtMs);
		isLocked = false;
		await settled();
		expect(await recalled()).toEqual({ '0.1': jobOf(1), '1.1': UNKNOWN });
	});

	it.each([
		['is asked again by a retry, which would pay again otherwise', 4, { '0.1': jobOf(1) }],
		['is asked by a retry for 30 seconds at most', Infinity, {}],
	])('%s', async (_, times, expected) => {
		await execution({});
		let failures = times;
		const beganAtMs = clock.now();
		const flaky: Partial<Helpers> = {
			getProcessedDataCount: async (...given) => {
				if (failures-- > 0) throw new Error('SQLITE_BUSY: database is locked');
				return await HELPERS.getProcessedDataCount(...given);
			},
		};
		expect(await recalled({ helpers: flaky })).toEqual(expected);
		if (times === Infinity) expect(clock.now() - beganAtMs).toBe(30_000);
	});

	it('that loses a write has it back with the next one', async () => {
		const { journal } = await open();
		await start(journal, slotOf(0), idOf(1));
		store.rows.set(`${workflowId} n:node`, []);
		await start(journal, slotOf(1), idOf(2));
		expect(await recalled()).toEqual({ '0.1': jobOf(1), '1.1': jobOf(2) });
	});

	it('that fails the first row, since another process has written it, is asked again', async () => {
		let attempts = 0;
		const helpers = writingAfter(async () => {
			if (attempts++ === 0) await Promise.reject(new Error('UNIQUE constraint failed'));
		});
		const { journal, failures } = await open({ helpers });
		await start(journal, slotOf(0), idOf(1));
		expect(failures).toEqual([]);
		expect(await recalled()).toEqual({ '0.1': jobOf(1) });
	});
});

describe('how much is kept', () => {
	it('is the newest 60 jobs of all runs', async () => {
		for (let run = 0; run < 70; run++) {
			await execution({ executionId: String(run), origin: `run ${run}` }, run);
		}
		expect(row()).toHaveLength(60 * TEXTS_PER_JOB);
		expect(await recalled({ origin: 'run 69' })).toEqual({ '0.1': jobOf(69) });
		expect(await recalled({ origin: 'run 10' })).toEqual({ '0.1': jobOf(10) });
		expect(await recalled({ origin: 'run 9' })).toEqual({});
	});

	it.each([
		['whose name was here before, when others need its place', 58],
		['whose name has just been dropped, but for its digits', 59],
	])('holds a job %s', async (_, others) => {
		await execution({});
		await execution({ executionId: '5', origin: 'other' }, 100, others);
		const twin = await open({ executionId: '6', origin: 'twin' });
		await intend(twin.journal, slotOf(0));
		const { journal } = await open({ executionId: '7' });
		await start(journal, slotOf(0), idOf(2));
		const { journal: last } = await open({ executionId: '8', origin: 'last', items: 20 });
		const sideBySide = Array.from({ length: 20 }, async (_, item) => {
			await last.intend(slotOf(item), undefined, false);
		});
		await clock.run(Promise.all(sideBySide));
		expect(await recalled()).toEqual({ '0.1': jobOf(2) });
	});

	it('is all that a run waits for, which is dropped hours later', async () => {
		const { journal } = await open({ items: 100 });
		await startAll(journal, 0, 100);
		await settled();
		await execution({ executionId: '5', origin: 'other' }, 500);
		journal.close();
		await settled();
		expect(Object.keys(await recalled({ items: 100 }))).toHaveLength(100);
		await clock.run(clock.wait(2 * HOUR_MS, 'service'));
		await execution({ executionId: '6', origin: 'last' }, 600);
		expect(row()).toHaveLength(60 * TEXTS_PER_JOB);
	});

	/** How many of ten jobs a round of a retry finds. It starts them if there are none. */
	async function foundOf(origin: string): Promise<number> {
		const { journal } = await open({ executionId: '99', mode: 'retry', origin, items: 10 });
		const found = await clock.run(journal.recall([...Array(10).keys()], () => undefined));
		if (found.length === 0) await startAll(journal, 500, 10);
		journal.close();
		await settled();
		return found.length;
	}

	it.each([
		['each round of an execution', (round: number) => ({ jobsOfAll: 10 * (round + 1) }), 8],
		['the newest of many executions', (round: number) => ({ executionId: String(round) }), 6],
	])('is %s, of which a retry pushes out none', async (_, given, expected) => {
		const rounds = Array.from({ length: 8 }, (_each, round) => `round ${round}`);
		for (const [round, origin] of rounds.entries()) {
			await execution({ origin, ...given(round) }, 10 * round, 10);
		}
		restart();
		await clock.run(clock.wait(3 * HOUR_MS, 'service'));
		expect(await foundOf('round 7')).toBe(10);
		for (const other of ['x', 'y', 'z']) expect(await foundOf(other)).toBe(0);
		const kept = [];
		for (const origin of rounds) if ((await foundOf(origin)) === 10) kept.push(origin);
		expect(kept).toEqual(rounds.slice(-expected));
	});

	it('is all that a run of another process waits for, until hours after its last write', async () => {
		const { journal } = await open({ items: 100 });
		await startAll(journal, 0, 100);
		await settled();
		restart();
		const kept: number[] = [];
		for (let hour = 0; hour < 3; hour++) {
			const other = { executionId: `5${hour}`, origin: `other ${hour}` };
			await execution(other, 500 + 10 * hour, 3);
			kept.push(Math.floor(row().length / TEXTS_PER_JOB));
			await clock.run(clock.wait(HOUR_MS, 'service'));
		}
		expect(kept).toEqual([103, 106, 60]);
	});

	it('is written in one go for all that wait, repeats 20 jobs, and is seldom counted', async () => {
		const writes = jest.spyOn(store, 'checkProcessedAndRecord');
		const counts = jest.spyOn(store, 'getProcessedDataCount');
		const { journal } = await open({ items: 101 });
		const sideBySide = Array.from({ length: 100 }, async (_, item) => {
			await journal.intend(slotOf(item), undefined, false);
		});
		await clock.run(Promise.all(sideBySide));
		for (let item = 0; item < 100; item++) journal.started(slotOf(item), idOf(item));
		await intend(journal, slotOf(100));
		await settled();
		journal.started(slotOf(100), idOf(100));
		await settled();
		const lengths = writes.mock.calls.map(([texts]) => texts.length);
		// What tells other processes of so many jobs is one more.
		expect(lengths).toEqual([400, 100 * TEXTS_PER_JOB + 1 + 4, 20 * TEXTS_PER_JOB + 1]);
		expect(counts).toHaveBeenCalledTimes(2);
	});

	it('is never searched in one go for so long that n8n stands still', async () => {
		await execution({}, 1, 100);
		const comparisons: number[] = [];
		const spied: Partial<Helpers> = {
			removeProcessed: async (texts, ...given) => {
				comparisons.push(texts.length * row().length);
				await HELPERS.removeProcessed(texts, ...given);
			},
		};
		expect(Object.keys(await recalled({ helpers: spied, items: 100 }))).toHaveLength(100);
		expect(comparisons.length).toBeGreaterThan(100);
		// The row holds what is asked for as well.
		expect(Math.max(...comparisons)).toBeLessThan(2 * 4_000_000);
	});
});
