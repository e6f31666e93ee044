import type { IDataObject, IExecuteFunctions, INode, IWorkflowDataProxyData } from 'n8n-workflow';
import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { JobBook } from '../../nodes/shared/engine/jobs/jobBook';
import type { JobSlot } from '../../nodes/shared/engine/jobs/plan';
import { VirtualClock } from '../support/virtualClock';

const slotOf = (itemIndex: number): JobSlot => ({ itemIndex, jobNumber: 1, jobCount: 1 });
const [A, B, C] = [slotOf(0), slotOf(1), slotOf(2)];

interface Given {
	executionId?: string | undefined;
	prompt?: string;
	/** Each place but memory fails. */
	isBroken?: boolean;
}

/** The book of one attempt, with what n8n keeps for the node between the attempts. */
function bookOf(kept: IDataObject, given: Given = {}): { book: JobBook; log: string[] } {
	const { executionId = '1', prompt = 'p', isBroken = false } = given;
	const log: string[] = [];
	const write = (level: string) => (line: string) => {
		if (isBroken) throw new Error('the log is full');
		log.push(`${level} ${line}`);
	};
	const node: INode = {
		id: 'node',
		name: 'Node',
		type: 'n8n-nodes-aetherforge.imageGenerate',
		typeVersion: 1,
		position: [0, 0],
		parameters: { prompt },
	};
	const context = {
		getContext: () => kept,
		getExecutionId: () => ('executionId' in given ? given.executionId : executionId),
		getNode: () => node,
		getWorkflow: () => ({}),
		getInputData: () => [{ json: {} }, { json: {} }, { json: {} }],
		getWorkflowDataProxy: () => ({ $runIndex: 0 }) as Partial<IWorkflowDataProxyData>,
		logger: { info: write('info'), warn: write('warn') },
	};
	const book = new JobBook(
		context as object as IExecuteFunctions,
		generateImage,
		new VirtualClock(0),
	);
	if (isBroken) Object.freeze(kept.aetherForgeJobs);
	return { book, log };
}

/** What n8n saves, as the next attempt finds it. */
function saved(kept: IDataObject): IDataObject {
	return JSON.parse(JSON.stringify(kept)) as IDataObject;
}

describe('what the book knows', () => {
	it('is each job from its answer on, in memory, log and context', () => {
		const kept: IDataObject = {};
		const { book, log } = bookOf(kept);
		book.started(A, 'job-a');
		book.unknown(B, 'No response.');
		expect([book.of(A), book.of(B), book.jobIds(), book.unknownSlots()]).toEqual([
			'job-a',
			undefined,
			['job-a'],
			[B],
		]);
		expect(log).toEqual([
			'info AetherForge started the job job-a for item 0',
			expect.stringMatching(/^warn It is not known .* for item 1\. No response\.$/) as string,
		]);
		const later = bookOf(saved(kept)).book;
		expect(later.recalled(A)).toMatchObject({ jobId: 'job-a' });
		expect(later.recalled(B)).toMatchObject({ outcomeUnknown: true });
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
		bookOf(kept).book.started(A, 'job-a');
		const { book, log } = bookOf(saved(kept), { prompt: 'another' });
		expect([book.leftBehind, book.jobIds()]).toEqual([['job-a'], []]);
		expect(log).toEqual([expect.stringContaining('job-a')]);
	});
});

describe('a request that is open when the execution is stopped', () => {
	it.each<[string, (book: JobBook) => void, unknown[], RegExp]>([
		[
			'started',
			(book) => {
				book.started(A, 'job-a');
			},
			['job-a', []],
			/started the job job-a/,
		],
		[
			'not started',
			(book) => {
				book.notStarted(A);
			},
			[undefined, []],
			/started no job/,
		],
		[
			'unknown',
			(book) => {
				book.unknown(A, '');
			},
			[undefined, [A]],
			/still not known/,
		],
	])('has a job of unknown outcome until its answer: %s', (_, answer, known, line) => {
		const kept: IDataObject = {};
		const { book, log } = bookOf(kept);
		book.stopped(A, '');
		expect(book.unknownSlots()).toEqual([A]);
		answer(book);
		expect([book.of(A), book.unknownSlots()]).toEqual(known);
		expect(log.at(-1)).toMatch(line);
		const later = bookOf(saved(kept)).book;
		expect([later.of(A), later.unknownSlots()]).toEqual(known);
		expect(book.counts.total).toBeLessThanOrEqual(1);
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

	it('begins anew in a retry from the executions list, which gets a copy of what n8n has kept', () => {
		const kept: IDataObject = {};
		bookOf(kept).book.reserve([A, B]);
		bookOf(kept).book.started(A, 'a');
		const { book } = bookOf(structuredClone(kept), { executionId: '2' });
		expect([book.countedJobs, book.isCounted(A)]).toEqual([0, false]);
	});

	it('begins anew in each call without an execution', () => {
		const kept: IDataObject = {};
		bookOf(kept, { executionId: undefined }).book.reserve([A, B]);
		expect(bookOf(kept, { executionId: undefined }).book.countedJobs).toBe(0);
	});
});
