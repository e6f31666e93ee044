import { DateTime } from 'luxon';
import type { IDataObject, INodeExecutionData, INodeParameters } from 'n8n-workflow';

import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { isPixel } from '../../nodes/Sprite/fields';
import type { Endpoint } from '../../nodes/shared/endpoint';
import { ParameterReader } from '../../nodes/shared/engine/check/parameters';
import { JobBook } from '../../nodes/shared/engine/jobs/jobBook';
import type { Store } from '../../nodes/shared/engine/jobs/journalRow';
import type { JobSlot } from '../../nodes/shared/engine/jobs/plan';
import { Deduplication } from '../simulator/disk';
import { VirtualClock } from '../support/virtualClock';
import { fakeContext, slotOf, storeIn } from './fakeContext';

const [A, B, C] = [slotOf(0), slotOf(1), slotOf(2)];
/** With a parameter more, before all others. */
const nextRelease: Endpoint = { ...generateImage, fields: [isPixel, ...generateImage.fields] };
const NOW = 1_700_000_000_000;
const clock = new VirtualClock(NOW);

/** One attempt of a node. */
interface Attempt {
	/** Undefined where a tool is called without an execution. */
	executionId?: string | undefined;
	runIndex?: number;
	parameters?: INodeParameters;
	items?: INodeExecutionData[];
	endpoint?: Endpoint;
	/** Each place but memory fails. */
	isBroken?: boolean;
	isRetry?: boolean;
	/** The workflow, if it is saved, and what reaches n8n's database. */
	workflow?: { id: string; helpers: Store } | undefined;
}

/** The book of an attempt, with what n8n keeps for the node between the attempts. */
function bookOf(kept: IDataObject, given: Attempt = {}) {
	const { executionId, isBroken } = { executionId: '1', isBroken: false, ...given };
	const { items = Array.from({ length: 12 }, () => ({ json: {} })) } = given;
	const { runIndex = 0, parameters = { prompt: 'a fox' }, workflow, isRetry } = given;
	const { endpoint = generateImage } = given;
	const log: string[] = [];
	const write = (level: string) => (line: string) => {
		if (isBroken) throw new Error('the log is full');
		log.push(`${level} ${line}`);
	};
	const context = fakeContext(parameters, {
		getContext: () => kept,
		getExecutionId: () => executionId,
		getMode: () => (isRetry ? 'retry' : 'trigger'),
		getWorkflow: () => ({ id: workflow?.id }),
		getInputData: () => items,
		getParentNodes: () => [],
		getWorkflowDataProxy: () => ({ $runIndex: runIndex }),
		getExecutionCancelSignal: () => undefined,
		logger: { info: write('info'), warn: write('warn') },
		helpers: workflow?.helpers,
	});
	const book = new JobBook(context, endpoint, clock);
	if (isBroken) Object.freeze(kept.aetherForgeJobs);
	return { book, log, context };
}

/** What n8n saves, as the next attempt finds it. */
function saved(kept: IDataObject): IDataObject {
	return JSON.parse(JSON.stringify(kept)) as IDataObject;
}

/** Whether the second attempt finds the job that the first one has started for its first item. */
function isFound(first: Attempt, second: Attempt): boolean {
	const kept: IDataObject = {};
	bookOf(kept, first).book.started(A, 'job-a');
	return bookOf(saved(kept), second).book.of(A) !== undefined;
}

const itemOf = (json: unknown): Attempt => ({ items: [{ json: json as IDataObject }] });

describe('what the book knows', () => {
	it('is each job from its answer on, in memory, log and context', () => {
		const kept: IDataObject = {};
		const secret = { parameters: { prompt: 'secret' }, items: [{ json: { secret: 'secret' } }] };
		const { book, log } = bookOf(kept, secret);
		book.started(A, 'job-a');
		book.unknown(B, 'No response.');
		expect([book.of(A), book.of(B), book.jobIds()]).toEqual(['job-a', undefined, ['job-a']]);
		expect(book.unknownSlots()).toEqual([B]);
		expect([book.jobIds(0), book.jobIds(1), book.jobIds(2)]).toEqual([['job-a'], [], []]);
		expect(book.counts).toEqual({ started: 1, unknown: 1, total: 1 });
		expect(log).toEqual([
			'info AetherForge started the job job-a for item 0',
			expect.stringMatching(/^warn It is not known .* for item 1\. No response\.$/) as string,
		]);
		expect(JSON.stringify(kept)).not.toContain('secret');
		const later = bookOf(saved(kept), secret).book;
		const started = { jobId: 'job-a', submittedAtMs: NOW, executionId: '1' };
		expect(later.recalled(A)).toMatchObject(started);
		expect(later.recalled(B)).toMatchObject({ outcomeUnknown: true, executionId: '1' });
		expect(later.counts).toMatchObject({ started: 0, unknown: 0 });
		// Nor is it forgotten when a request in its place is not accepted.
		later.notStarted(B);
		expect([later.jobIds(), later.unknownSlots(), later.isEmpty]).toEqual([['job-a'], [B], false]);
	});

	it('is kept in memory where every other place fails, and nothing is thrown', () => {
		const { book } = bookOf({}, { isBroken: true });
		book.started(A, 'job-a');
		book.unknown(B, '');
		book.failed(A);
		expect([book.jobIds(), book.unknownSlots()]).toEqual([['job-a'], [B]]);
	});

	it('of a failed job is its ID now, and in the next attempt that it is to be replaced', () => {
		const kept: IDataObject = {};
		const { book } = bookOf(kept);
		book.started(A, 'job-a');
		book.failed(A);
		expect(book.of(A)).toBe('job-a');
		const { book: later } = bookOf(saved(kept));
		expect([later.of(A), later.recalled(A)]).toMatchObject([undefined, { hasFailed: true }]);
	});

	it('of jobs that are no longer asked for is what they are, so that they can be named', () => {
		const kept: IDataObject = {};
		const { book: first } = bookOf(kept);
		first.started(A, 'job-a');
		first.started(B, 'job-b');
		first.failed(B);
		const { book, log } = bookOf(saved(kept), { parameters: { prompt: 'another' } });
		expect([book.leftBehind, book.jobIds()]).toEqual([['job-a'], []]);
		expect(log).toEqual([expect.stringContaining('job-a')]);
	});
});

describe('what the next attempt finds', () => {
	it('is what was written for the same run, item and variation, and nothing else', () => {
		const kept: IDataObject = {};
		// Each as its run, item, and variation.
		const written = ['0,0,1', '0,0,2', '0,2,1', '1,0,1', '1,1,3'];
		for (const place of written) {
			const [runIndex = 0, item = 0, variation] = place.split(',').map(Number);
			bookOf(kept, { runIndex }).book.started(slotOf(item, variation), place);
		}
		for (const runIndex of [0, 1, 2]) {
			const { book } = bookOf(saved(kept), { runIndex });
			const found = [0, 1, 2].flatMap((item) =>
				[1, 2, 3].flatMap((variation) => book.of(slotOf(item, variation)) ?? []),
			);
			expect(found).toEqual(written.filter((place) => place.startsWith(`${runIndex},`)));
			expect(book.jobIds()).toEqual(found);
		}
	});

	it('is in the order of items and variations, in whatever order these were started', () => {
		const kept: IDataObject = {};
		const { book } = bookOf(kept);
		const slots = [slotOf(10, 2), slotOf(2, 10), slotOf(2, 9), slotOf(0, 1), slotOf(10, 1)];
		for (const slot of slots) book.started(slot, `${slot.itemIndex}/${slot.jobNumber}`);
		expect(bookOf(saved(kept)).book.jobIds()).toEqual(['0/1', '2/9', '2/10', '10/1', '10/2']);
	});

	it('is not of a run whose number starts alike, nor gone with it', () => {
		const kept: IDataObject = {};
		const [first, eleventh] = [bookOf(kept, { runIndex: 1 }), bookOf(kept, { runIndex: 11 })];
		first.book.started(slotOf(11), 'job-1');
		eleventh.book.started(slotOf(1), 'job-11');
		expect(bookOf(kept, { runIndex: 11 }).book.jobIds()).toEqual(['job-11']);
		first.book.forget();
		expect(bookOf(kept, { runIndex: 1 }).book.isEmpty).toBe(true);
		expect(bookOf(kept, { runIndex: 11 }).book.jobIds()).toEqual(['job-11']);
		eleventh.book.forget();
		expect(kept.aetherForgeJobs).toEqual({});
	});

	const prompt = (written: string): Attempt => ({ parameters: { prompt: written } });
	const options = (given: INodeParameters): Attempt => ({ parameters: { options: given } });
	const fields = (additionalFields: string) => options({ additionalFields });
	const fileAt = (place: string, uuid = 'c3') =>
		`filesystem-v2:workflows/w1/executions/${place}/binary_data/${uuid}`;
	const withFile = (id: string): Attempt => ({
		items: [
			{
				json: { a: 1, _files: { data: { id } } },
				binary: { data: { id, data: 'filesystem-v2', mimeType: 'image/png' } },
			},
		],
	});
	const deepFile = (id: string) => itemOf({ a: [{ b: { photo: { mimeType: 'image/png', id } } }] });

	/** n8n adds the defaults of what is shown. */
	const updated = (given: INodeParameters): Attempt => ({
		endpoint: nextRelease,
		parameters: { prompt: 'a fox', isPixel: false, referenceImages: 'none', ...given },
	});

	const odd = {
		...{ date: new Date(0), luxon: DateTime.utc(2026), toNothing: { toJSON: () => undefined } },
		...{ nan: Number.NaN, minus: -0, buffer: Buffer.from('a'), list: [undefined, () => 1] },
	};
	const json = (data: unknown): unknown => JSON.parse(JSON.stringify(data));

	it.each<[what: string, isFound: boolean, first: Attempt, second: Attempt]>([
		['an item as n8n has saved it', true, itemOf(odd), itemOf(json(odd))],
		['an item that n8n had saved', true, itemOf(json(odd)), itemOf(odd)],
		['another item', false, itemOf({ a: { b: [1, 2] } }), itemOf({ a: { b: [1, 3] } })],
		['a number as text', false, itemOf({ a: 1 }), itemOf({ a: '1' })],
		['another order', false, itemOf({ a: [1, 2] }), itemOf({ a: [2, 1] })],
		['null in place of nothing', false, itemOf({ a: null }), itemOf({})],
		['another prompt', false, prompt('a fox'), prompt('a wolf')],
		['a prompt of another value', true, prompt('={{ $now }}'), prompt('={{ $now }}')],
		['another model', false, { parameters: { aiModel: 'A' } }, { parameters: { aiModel: 'B' } }],
		['other waiting', true, options({ timeout: 5 }), options({ resubmitIfUnknown: true })],
		['fewer variations', true, options({ jobsPerItem: 3 }), options({ jobsPerItem: 1 })],
		['the same form field', true, fields('{"seed": 1}'), fields('{"seed": 1}')],
		['another form field', false, fields('{"seed": 1}'), fields('{"seed": 2}')],
		['a form field less', false, fields('{"seed": 1}'), options({})],
		['no form field yet', true, options({}), fields(' { } ')],
		['another endpoint', false, {}, { endpoint: { ...generateImage, path: '/another' } }],
		['a parameter that the next release adds', true, prompt('a fox'), updated({})],
		['such a parameter, and a value for it', false, prompt('a fox'), updated({ isPixel: true })],
		['an item that is gone', false, itemOf({ a: 1 }), { items: [] }],
		['other storage IDs of its files', true, withFile('temp/1'), withFile('executions/1')],
		['a file that n8n has moved', true, deepFile(fileAt('temp')), deepFile(fileAt('27'))],
		['the ID of a moved file', true, itemOf([fileAt('temp')]), itemOf([fileAt('27')])],
		['another file', false, deepFile(fileAt('temp')), deepFile(fileAt('temp', 'd4'))],
	])('with %s: %s', (_, expected, first, second) => {
		expect(isFound(first, second)).toBe(expected);
	});

	it('is of the item as it was when the job was prepared', async () => {
		const kept: IDataObject = {};
		const item = { json: { a: 1 } };
		const { book } = bookOf(kept, { items: [item] });
		await book.prepare(0);
		item.json = { a: 2 };
		book.started(A, 'job-a');
		expect(bookOf(kept, itemOf({ a: 1 })).book.of(A)).toBe('job-a');
		expect(bookOf(kept, itemOf({ a: 2 })).book.of(A)).toBeUndefined();
	});

	const circular: { self?: unknown } = {};
	circular.self = circular;
	const broken = (): never => {
		throw new TypeError('broken');
	};
	const nested = Array.from({ length: 20_000 }).reduce((value) => ({ value }), {});

	it.each<[string, unknown]>([
		['a reference to itself', circular],
		['a getter that throws', Object.defineProperty({}, 'x', { get: broken, enumerable: true })],
		['20,000 levels', nested],
	])('is also of items with %s, which cannot be told apart', (_, json) => {
		const [first, second] = [itemOf(json), itemOf(json)];
		expect(isFound(first, second)).toBe(true);
		expect(isFound(first, itemOf({}))).toBe(false);
		expect(isFound(first, { ...second, parameters: { prompt: 'another' } })).toBe(false);
	});
});

describe('what n8n’s database knows', () => {
	const ID = '0a1b2c3d-0000-4000-8000-000000000001';
	const OTHER = ID.replace(/1$/, '2');
	const database = new Deduplication(clock, 4);
	let workflow: { id: string; helpers: Store };
	let id = 0;

	beforeEach(() => {
		workflow = {
			id: String(id++),
			helpers: storeIn(
				() => database,
				() => workflow.id,
			),
		};
	});

	async function openBook(given: Attempt, kept: IDataObject = {}): Promise<JobBook> {
		const { endpoint = generateImage } = given;
		const { context } = bookOf(kept, { ...given, workflow });
		const reader = new ParameterReader(context);
		const book = await clock.run(JobBook.open(context, endpoint, clock, reader));
		await book.prepare(0);
		return book;
	}

	it('is a job that n8n forgot in a crash, and the one that another retry put in its place', async () => {
		const first = await openBook({});
		await clock.run(first.submitting(A, false));
		first.started(A, ID);
		first.close();
		const retry = { isRetry: true, executionId: '2' };
		const [one, another] = [await openBook(retry), await openBook(retry)];
		expect([one.of(A), another.of(A)]).toEqual([ID, ID]);
		one.failed(A);
		await clock.run(one.submitting(A, false));
		one.started(A, OTHER);
		expect(await clock.run(another.replaced(A))).toMatchObject({ jobId: OTHER });
	});

	it('is a job that the release before this one has started', async () => {
		const parameters = { prompt: '={{ $json.prompt }}' };
		const first = await openBook({ parameters });
		await clock.run(first.submitting(A, false));
		first.started(A, ID);
		first.close();
		const update = { endpoint: nextRelease, parameters: { ...parameters, isPixel: false } };
		expect((await openBook({ isRetry: true, ...update })).of(A)).toBe(ID);
	});

	it('is refused while another retry has the request open, and not remembered', async () => {
		const retry = { isRetry: true, executionId: '2' };
		const first = await openBook(retry);
		await clock.run(first.submitting(A, false));
		const kept: IDataObject = {};
		const another = await openBook(retry, kept);
		expect([another.isUnknown(A), kept.aetherForgeJobs]).toEqual([true, {}]);
		first.notStarted(A);
		expect((await openBook(retry, kept)).isUnknown(A)).toBe(false);
	});

	it('is what an execution has sent before that n8n runs again', async () => {
		for (const earlier of [undefined, ID]) {
			const book = await openBook({});
			expect(await clock.run(book.submitting(A, false))).toBe(earlier);
			if (earlier === undefined) book.started(A, ID);
			book.close();
		}
	});

	it('is nothing where it is broken, which the log tells', async () => {
		const broken = async () => await Promise.reject(new Error('no such table'));
		workflow.helpers.getProcessedDataCount = broken;
		const { book, log } = bookOf({}, { workflow });
		await book.prepare(0);
		await clock.run(book.submitting(A, false));
		expect(log).toEqual([expect.stringMatching(/^warn .* AetherForge jobs: no such table/)]);
	});
});

describe('a request that is open when the execution is stopped', () => {
	it.each<[how: string, jobId: string | undefined, unknown: JobSlot[], line: RegExp]>([
		['started', 'job-a', [], /started the job job-a/],
		['not started', undefined, [], /started no job/],
		['unknown', undefined, [A], /still not known/],
	])('has a job of unknown outcome until its answer: %s', (how, jobId, unknown, line) => {
		const kept: IDataObject = {};
		const { book, log } = bookOf(kept);
		book.started(slotOf(0, 2), 'its other variation');
		book.stopped(A, '');
		expect(book.unknownSlots()).toEqual([A]);
		if (how === 'started') book.started(A, 'job-a');
		else if (how === 'unknown') book.unknown(A, '');
		else book.notStarted(A);
		expect([book.of(A), book.unknownSlots()]).toEqual([jobId, unknown]);
		expect(log.at(-1)).toMatch(line);
		const later = bookOf(saved(kept)).book;
		expect([later.of(A), later.unknownSlots()]).toEqual([jobId, unknown]);
		expect(later.of(slotOf(0, 2))).toBe('its other variation');
		expect(book.counts.total).toBeLessThanOrEqual(2);
	});
});

describe('the number of jobs that a node has started', () => {
	it('adds up over all calls of the node in an execution, also while they run side by side', () => {
		const kept: IDataObject = {};
		const [first, second] = [bookOf(kept).book, bookOf(kept).book];
		first.reserve([A, B, C]);
		expect(second.countedJobs).toBe(3);
		second.reserve([A, B]);
		first.started(A, 'a');
		first.unknown(B, '');
		first.close();
		expect([first.countedJobs, second.countedJobs]).toEqual([4, 4]);
	});

	it.each(['failed', 'of unknown outcome'])('does not grow by one that replaces one %s', (how) => {
		const kept: IDataObject = {};
		const { book } = bookOf(kept);
		book.reserve([A]);
		if (how === 'failed') book.started(A, 'a');
		else book.unknown(A, '');
		book.failed(A);
		book.close();
		const { book: again } = bookOf(saved(kept));
		expect(again.isCounted(A)).toBe(true);
		again.reserve([A]);
		again.started(A, 'b');
		again.close();
		expect([again.countedJobs, again.counts]).toEqual([1, { started: 1, unknown: 0, total: 2 }]);
	});

	it.each([
		['a retry from the executions list, which gets a copy of what n8n has kept', '1', '2'],
		['each call without an execution', undefined, undefined],
	])('begins anew in %s', (_, before, now) => {
		const kept: IDataObject = {};
		const { book } = bookOf(kept, { executionId: before });
		book.reserve([A, B]);
		book.started(A, 'a');
		const { book: again } = bookOf(structuredClone(kept), { executionId: now });
		expect([again.countedJobs, again.isCounted(A)]).toEqual([0, false]);
		// What nothing outlives is forgotten.
		expect(again.jobIds()).toEqual(now === undefined ? [] : ['a']);
	});
});
