import fc from 'fast-check';
import { DateTime } from 'luxon';
import type {
	IDataObject,
	IExecuteFunctions,
	INode,
	INodeExecutionData,
	INodeParameters,
	IWorkflowDataProxyData,
} from 'n8n-workflow';
import type { Endpoint } from '../../nodes/shared/endpoint';
import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { ContextPage, type Entry } from '../../nodes/shared/engine/jobs/contextPage';
import { guardsOf } from '../../nodes/shared/engine/jobs/guard';
import type { JobSlot } from '../../nodes/shared/engine/jobs/plan';

/** All that the page asks of n8n. */
interface Execution {
	/** What n8n keeps for the node; saved as JSON with the execution. */
	kept: IDataObject;
	runIndex?: number;
	parameters?: INodeParameters;
	items?: INodeExecutionData[];
	endpoint?: Endpoint;
	executionId?: string | undefined;
}

const ENTRY: Entry = { jobId: 'j', submittedAtMs: 1, executionId: '1' };
const FIRST: JobSlot = { itemIndex: 0, jobNumber: 1, jobCount: 1 };

/** What the page has of one job, of the same work. */
function recalled(page: ContextPage, { itemIndex, jobNumber }: JobSlot): Entry | undefined {
	const found = page
		.read()
		.find(({ slot }) => slot.itemIndex === itemIndex && slot.jobNumber === jobNumber);
	return found?.isSameWork ? found.entry : undefined;
}

function pageOf(execution: Execution): ContextPage {
	const node: INode = {
		id: 'node',
		name: 'Node',
		type: 'n8n-nodes-aetherforge.imageGenerate',
		typeVersion: 1,
		position: [0, 0],
		parameters: execution.parameters ?? {},
	};
	const executionId = 'executionId' in execution ? execution.executionId : '1';
	const proxy = { $runIndex: execution.runIndex ?? 0 } as Partial<IWorkflowDataProxyData>;
	const context: Pick<
		IExecuteFunctions,
		'getContext' | 'getExecutionId' | 'getNode' | 'getInputData' | 'getWorkflowDataProxy'
	> = {
		getContext: () => execution.kept,
		getExecutionId: () => executionId ?? (undefined as never),
		getNode: () => node,
		getInputData: () => execution.items ?? [{ json: {} }],
		getWorkflowDataProxy: () => proxy as IWorkflowDataProxyData,
	};
	const guardOf = guardsOf(context as IExecuteFunctions, execution.endpoint ?? generateImage);
	return new ContextPage(context as IExecuteFunctions, guardOf);
}

/** What n8n saves of its context, as the next try or retry finds it. */
function saved(kept: IDataObject): IDataObject {
	return JSON.parse(JSON.stringify(kept)) as IDataObject;
}

const entry = fc.oneof(
	fc.record({
		jobId: fc.uuid(),
		submittedAtMs: fc.nat(),
		executionId: fc.constant('1'),
	}),
	fc.constant({ outcomeUnknown: true as const, executionId: '1' }),
);
const json = fc
	.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 })
	.map((data) => data as IDataObject);
const parameters = fc.record({
	prompt: fc.string(),
	aiModel: fc.constantFrom('GPT Image 2', 'Grok Imagine'),
	referenceImages: fc.constantFrom('none', 'all', 'selected'),
	binaryPropertyName: fc.string(),
});

/** Records in one try, and recalls in another that differs from it as given. */
function recalls(first: Omit<Execution, 'kept'>, second: Omit<Execution, 'kept'>): boolean {
	const kept: IDataObject = {};
	pageOf({ kept, ...first }).write(FIRST, ENTRY);
	return recalled(pageOf({ kept: saved(kept), ...second }), FIRST) !== undefined;
}

/** The same with one item that differs. */
function recallsItem(before: unknown, after: unknown): boolean {
	return recalls(
		{ items: [{ json: before as IDataObject }] },
		{ items: [{ json: after as IDataObject }] },
	);
}

describe('what the page gives back', () => {
	it('is what was recorded, for the same run, item, job and work, and nothing else', () => {
		const small = fc.nat({ max: 4 });
		fc.assert(
			fc.property(
				fc.uniqueArray(fc.tuple(small, small, small, entry), {
					selector: ([run, item, job]) => `${run} ${item} ${job}`,
				}),
				parameters,
				fc.array(json, { minLength: 5, maxLength: 5 }),
				(recorded, given, data) => {
					const kept: IDataObject = {};
					const work = { parameters: given, items: data.map((each) => ({ json: each })) };
					for (const [runIndex, itemIndex, jobNumber, made] of recorded) {
						pageOf({ kept, runIndex, ...work }).write({ itemIndex, jobNumber, jobCount: 5 }, made);
					}
					const later = saved(kept);
					for (let runIndex = 0; runIndex < 5; runIndex++) {
						const page = pageOf({ kept: later, runIndex, ...work });
						for (let at = 0; at < 25; at++) {
							const [itemIndex, jobNumber] = [at % 5, Math.floor(at / 5)];
							const made = recorded.find(
								([run, item, job]) => run === runIndex && item === itemIndex && job === jobNumber,
							);
							const found = recalled(page, { itemIndex, jobNumber, jobCount: 5 });
							if (made) expect(found).toMatchObject(made[3]);
							else expect(found).toBeUndefined();
						}
					}
				},
			),
			{ numRuns: 50 },
		);
	});

	it('does not mix up runs, items and jobs whose numbers look alike together', () => {
		const kept: IDataObject = {};
		const items = Array.from({ length: 12 }, () => ({ json: {} }));
		pageOf({ kept, items, runIndex: 1 }).write({ itemIndex: 11, jobNumber: 1, jobCount: 1 }, ENTRY);
		const alike = pageOf({ kept, items, runIndex: 11 });
		expect(alike.read()).toEqual([]);
	});

	it('is in the order of items and their jobs, in whatever order these were started', () => {
		const kept: IDataObject = {};
		const items = Array.from({ length: 11 }, () => ({ json: {} }));
		const page = pageOf({ kept, items });
		const slots = [
			[10, 2],
			[2, 10],
			[2, 9],
			[0, 1],
			[10, 1],
		] as const;
		for (const [itemIndex, jobNumber] of slots) {
			page.write({ itemIndex, jobNumber, jobCount: 10 }, ENTRY);
		}
		const order = page.read().map(({ slot: { itemIndex, jobNumber } }) => [itemIndex, jobNumber]);
		expect(order).toEqual([
			[0, 1],
			[2, 9],
			[2, 10],
			[10, 1],
			[10, 2],
		]);
	});

	it('does not depend on how many variations are asked for', () => {
		const parametersOf = (jobsPerItem: number) => ({ parameters: { options: { jobsPerItem } } });
		expect(recalls(parametersOf(3), parametersOf(1))).toBe(true);
	});

	it('is nothing once an additional form field differs, as it is written', () => {
		const parametersOf = (additionalFields: string) => ({
			parameters: { options: { additionalFields } },
		});
		expect(recalls(parametersOf('{"seed": 1}'), parametersOf('{"seed": 1}'))).toBe(true);
		expect(recalls(parametersOf('{"seed": 1}'), parametersOf('{"seed": 2}'))).toBe(false);
		expect(recalls(parametersOf('{"seed": 1}'), {})).toBe(false);
		expect(recalls({}, parametersOf(' { } '))).toBe(true);
	});

	it('takes into account what an item was when the job was prepared', () => {
		const kept: IDataObject = {};
		const item = { json: { a: 1 } };
		const page = pageOf({ kept, items: [item] });
		page.prepare(0);
		item.json = { a: 2 };
		page.write(FIRST, ENTRY);
		expect(recalled(pageOf({ kept, items: [{ json: { a: 1 } }] }), FIRST)).toBeDefined();
		expect(recalled(pageOf({ kept, items: [item] }), FIRST)).toBeUndefined();
	});

	it('is nothing once the item’s JSON differs', () => {
		fc.assert(
			fc.property(json, json, (before, after) => {
				const isSame = JSON.stringify(before) === JSON.stringify(after);
				expect(recalls({ items: [{ json: before }] }, { items: [{ json: after }] })).toBe(isSame);
			}),
		);
	});

	it('is nothing once a parameter of the request differs, as it is written', () => {
		fc.assert(
			fc.property(parameters, parameters, (before, after) => {
				const isSame = JSON.stringify(before) === JSON.stringify(after);
				expect(recalls({ parameters: before }, { parameters: after })).toBe(isSame);
			}),
		);
		const written = { prompt: '={{ $now }}' };
		expect(recalls({ parameters: written }, { parameters: { ...written } })).toBe(true);
	});

	it('does not depend on how the node waits and what it returns', () => {
		const parametersOf = (rest: INodeParameters) => ({ parameters: { prompt: 'p', ...rest } });
		const before = parametersOf({ waitForCompletion: true, options: { timeout: 5 } });
		expect(recalls(before, parametersOf({ waitForCompletion: false, downloadImages: false }))).toBe(
			true,
		);
		expect(recalls(before, parametersOf({ options: { resubmitIfUnknown: true } }))).toBe(true);
	});

	it('does not depend on binary data, whose IDs change from a run to its retry', () => {
		const item = (id: string): INodeExecutionData => ({
			json: { a: 1, _files: { data: { id } } },
			binary: { data: { id, data: 'filesystem-v2', mimeType: 'image/png' } },
		});
		expect(recalls({ items: [item('temp/1')] }, { items: [item('executions/1')] })).toBe(true);
	});

	it('is nothing for another endpoint', () => {
		const endpoint = { ...generateImage, path: '/public/v1/generate/effect/v1' };
		expect(recalls({}, { endpoint })).toBe(false);
	});

	it('is nothing for an item that is not there any more', () => {
		expect(recalls({ items: [{ json: { a: 1 } }] }, { items: [] })).toBe(false);
	});
});

describe('what counts as the same item', () => {
	it('is what n8n saves of it, whatever JSON makes of its values', () => {
		const value = fc.oneof(
			fc.jsonValue({ maxDepth: 2 }),
			fc.date({ noInvalidDate: true }),
			fc.integer({ min: 0, max: 2 ** 40 }).map((ms) => DateTime.fromMillis(ms, { zone: 'utc' })),
			fc.constantFrom(undefined, Number.NaN, Infinity, -0, Buffer.from('a'), Symbol('s'), () => 1),
			fc.constant(DateTime.invalid('no date')),
			fc.constant({ toJSON: () => undefined }),
			fc.constant(new Map([['a', 1]])),
		);
		const item = fc.dictionary(
			fc.string(),
			fc.oneof(value, fc.array(value), fc.dictionary(fc.string(), value)),
		);
		fc.assert(
			fc.property(item, (data) => {
				const after: unknown = JSON.parse(JSON.stringify(data));
				expect(recallsItem(data, after)).toBe(true);
				expect(recallsItem(after, data)).toBe(true);
			}),
			{ numRuns: 300 },
		);
	});

	it('is not one in which anything differs, at any place', () => {
		fc.assert(
			fc.property(
				fc.jsonValue({ maxDepth: 4 }),
				fc.array(fc.oneof(fc.string(), fc.nat({ max: 3 })), { maxLength: 8 }),
				fc.jsonValue({ maxDepth: 1 }),
				fc.jsonValue({ maxDepth: 1 }),
				(around, path, before, after) => {
					fc.pre(JSON.stringify(before) !== JSON.stringify(after));
					const placed = (inner: unknown): unknown =>
						path.reduceRight<unknown>(
							(value, key) =>
								typeof key === 'string'
									? { [key]: value, around }
									: [...Array.from({ length: key }, () => around), value],
							inner,
						);
					expect(recallsItem({ a: placed(before) }, { a: placed(after) })).toBe(false);
				},
			),
		);
	});

	it.each<[string, unknown, unknown]>([
		['a number and its text', { a: 1 }, { a: '1' }],
		['true and its text', { a: true }, { a: 'true' }],
		['null and its text', { a: null }, { a: 'null' }],
		['a list and an object', { a: ['x'] }, { a: { 0: 'x' } }],
		['a name and a value that run together', { ab: 'c' }, { a: 'bc' }],
		['a text that looks like the next entry', { a: ['x', 'y'] }, { a: ['x\nkey 1 1\nstring y'] }],
		['a key with null and no key', { a: null }, {}],
		['a value inside and beside an object', { a: { b: 1 }, c: 2 }, { a: { b: 1, c: 2 } }],
		['another order of a list', { a: [1, 2] }, { a: [2, 1] }],
	])('tells %s apart', (_, before, after) => {
		expect(recallsItem(before, after)).toBe(false);
	});

	it.each<[string, (id: number) => object]>([
		['a reference to itself', (id) => circular(id)],
		['a BigInt', (id) => ({ id, big: 2n ** 70n })],
		['a getter that throws', (id) => ({ id, deep: brokenGetter(), last: 1 })],
		['a getter at its first level that throws', () => brokenGetter()],
		['a toJSON that throws', (id) => ({ id, date: { toJSON: () => broken() } })],
		['a proxy that throws', (id) => ({ id, proxy: new Proxy({}, { ownKeys: () => broken() }) })],
		['20,000 levels', (id) => ({ id, deep: nested(20_000) })],
	])('cannot be told of items with %s, which are remembered all the same', (_, itemOf) => {
		expect(recallsItem(itemOf(7), itemOf(7))).toBe(true);
		expect(recallsItem(itemOf(7), {})).toBe(false);
		const [before, after] = ['a', 'b'].map((prompt) => ({
			parameters: { prompt },
			items: [{ json: itemOf(7) as IDataObject }],
		}));
		expect(recalls(before ?? {}, after ?? {})).toBe(false);
	});

	it.each<[string, (id: string) => object]>([
		['a file', (id) => ({ photo: { mimeType: 'image/png', id } })],
		['a file, deep inside,', (id) => ({ a: [{ b: { photo: { mimeType: 'image/png', id } } }] })],
		['the ID alone', (id) => ({ id })],
	])('does not depend on where n8n keeps %s', (_, itemOf) => {
		const at = (place: string, uuid = 'c3') =>
			itemOf(`filesystem-v2:workflows/w1/executions/${place}/binary_data/${uuid}`);
		expect(recallsItem(at('temp'), at('27'))).toBe(true);
		expect(recallsItem(at('temp'), at('temp', 'd4'))).toBe(false);
	});
});

function broken(): never {
	throw new TypeError('broken');
}

function brokenGetter(): object {
	return Object.defineProperty({}, 'broken', { get: broken, enumerable: true });
}

function nested(levels: number): object {
	let value = {};
	for (let level = 0; level < levels; level++) value = { value };
	return value;
}

function circular(id: number): object {
	const data: IDataObject = { id };
	data.self = data;
	return data;
}

describe('what the page erases', () => {
	const slots = [0, 1].flatMap((itemIndex) =>
		[1, 2].map((jobNumber): JobSlot => ({ itemIndex, jobNumber, jobCount: 2 })),
	);

	const twoRuns = (): { kept: IDataObject; runs: [ContextPage, ContextPage] } => {
		const kept: IDataObject = {};
		const items = [{ json: {} }, { json: {} }];
		const runs: [ContextPage, ContextPage] = [
			pageOf({ kept, runIndex: 1, items }),
			pageOf({ kept, runIndex: 11, items }),
		];
		for (const page of runs) for (const slot of slots) page.write(slot, ENTRY);
		return { kept, runs };
	};

	it('is one job of one item', () => {
		const { runs } = twoRuns();
		runs[0].erase(FIRST);
		const left = runs.map((page) => slots.map((slot) => recalled(page, slot) !== undefined));
		expect(left).toEqual([
			[false, true, true, true],
			[true, true, true, true],
		]);
	});

	it('is one run, also when the number of another starts alike', () => {
		const { runs } = twoRuns();
		runs[0].clear();
		for (const slot of slots) {
			expect(recalled(runs[0], slot)).toBeUndefined();
			expect(recalled(runs[1], slot)).toMatchObject(ENTRY);
		}
	});

	it('leaves nothing in what n8n saves when all is cleared', () => {
		const { kept, runs } = twoRuns();
		for (const page of runs) page.clear();
		expect(kept).toEqual({ aetherForgeJobs: {} });
	});

	it('is what it knew before, when it records anew', () => {
		const page = pageOf({ kept: {} });
		page.write(FIRST, { outcomeUnknown: true, executionId: '1' });
		page.write(FIRST, ENTRY);
		expect(recalled(page, FIRST)).toMatchObject(ENTRY);
		expect(recalled(page, FIRST)).not.toHaveProperty('outcomeUnknown');
	});
});

describe('without an execution', () => {
	it('stores nothing in what n8n keeps, and remembers during the call', () => {
		const kept: IDataObject = {};
		const page = pageOf({ kept, executionId: undefined });
		page.write(FIRST, ENTRY);
		expect(recalled(page, FIRST)).toMatchObject(ENTRY);
		expect(kept).toEqual({});
		expect(recalled(pageOf({ kept, executionId: undefined }), FIRST)).toBeUndefined();
	});
});

it('stores nothing of prompts, items and files', () => {
	const text = fc.stringMatching(/^[a-z]{12,40}$/);
	fc.assert(
		fc.property(text, text, text, (prompt, value, fileName) => {
			const kept: IDataObject = {};
			pageOf({
				kept,
				parameters: { prompt },
				items: [
					{
						json: { [value]: value },
						binary: { data: { fileName, data: fileName, mimeType: 'image/png' } },
					},
				],
			}).write(FIRST, ENTRY);
			const stored = JSON.stringify(kept);
			for (const secret of [prompt, value, fileName]) expect(stored).not.toContain(secret);
			expect(stored.length).toBeLessThan(160);
		}),
	);
});
