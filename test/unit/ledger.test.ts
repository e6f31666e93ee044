import fc from 'fast-check';
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
import { Ledger } from '../../nodes/shared/engine/ledger';

/** All that the ledger asks of n8n. */
interface Execution {
	/** What n8n keeps for the node; saved as JSON with the execution. */
	kept: IDataObject;
	runIndex?: number;
	parameters?: INodeParameters;
	items?: INodeExecutionData[];
	endpoint?: Endpoint;
}

function ledgerOf(execution: Execution): Ledger {
	const node: INode = {
		id: 'node',
		name: 'Node',
		type: 'n8n-nodes-aetherforge.imageGenerate',
		typeVersion: 1,
		position: [0, 0],
		parameters: execution.parameters ?? {},
	};
	const proxy = { $runIndex: execution.runIndex ?? 0 } as Partial<IWorkflowDataProxyData>;
	const context: Pick<
		IExecuteFunctions,
		'getContext' | 'getNode' | 'getInputData' | 'getWorkflowDataProxy'
	> = {
		getContext: () => execution.kept,
		getNode: () => node,
		getInputData: () => execution.items ?? [{ json: {} }],
		getWorkflowDataProxy: () => proxy as IWorkflowDataProxyData,
	};
	return new Ledger(context as IExecuteFunctions, execution.endpoint ?? generateImage);
}

/** What n8n saves of its context, as the next try or retry finds it. */
function saved(kept: IDataObject): IDataObject {
	return JSON.parse(JSON.stringify(kept)) as IDataObject;
}

const index = fc.nat({ max: 12 });
const entry = fc.oneof(
	fc.uuid().map((jobId) => ({ jobId })),
	fc.constant({ outcomeUnknown: true as const }),
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

/** Records in one try, and looks in another that differs from it as given. */
function recalls(first: Omit<Execution, 'kept'>, second: Omit<Execution, 'kept'>): boolean {
	const kept: IDataObject = {};
	ledgerOf({ kept, ...first }).record(0, { jobId: 'j' });
	return ledgerOf({ kept: saved(kept), ...second }).recall(0) !== undefined;
}

describe('what the ledger gives back', () => {
	it('is what was recorded, for the same run, item and work, and nothing else', () => {
		fc.assert(
			fc.property(
				fc.uniqueArray(fc.tuple(index, index, entry), {
					selector: ([run, item]) => `${run} ${item}`,
				}),
				parameters,
				fc.array(json, { minLength: 13, maxLength: 13 }),
				(recorded, given, data) => {
					const kept: IDataObject = {};
					const work = { parameters: given, items: data.map((each) => ({ json: each })) };
					for (const [runIndex, itemIndex, made] of recorded) {
						ledgerOf({ kept, runIndex, ...work }).record(itemIndex, made);
					}
					const later = saved(kept);
					for (let runIndex = 0; runIndex < 13; runIndex++) {
						const ledger = ledgerOf({ kept: later, runIndex, ...work });
						for (let itemIndex = 0; itemIndex < 13; itemIndex++) {
							const made = recorded.find(([run, item]) => run === runIndex && item === itemIndex);
							const recalled = ledger.recall(itemIndex);
							if (made) expect(recalled).toMatchObject(made[2]);
							else expect(recalled).toBeUndefined();
						}
					}
				},
			),
			{ numRuns: 50 },
		);
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
		expect(recalls(before, parametersOf({ options: { resubmitUnclear: true } }))).toBe(true);
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

describe('what the ledger forgets', () => {
	const twoRuns = (): { kept: IDataObject; runs: [Ledger, Ledger] } => {
		const kept: IDataObject = {};
		const runs: [Ledger, Ledger] = [
			ledgerOf({ kept, runIndex: 1, items: [{ json: {} }, { json: {} }] }),
			ledgerOf({ kept, runIndex: 11, items: [{ json: {} }, { json: {} }] }),
		];
		for (const ledger of runs) for (const item of [0, 1]) ledger.record(item, { jobId: 'j' });
		return { kept, runs };
	};

	it('is one item', () => {
		const { runs } = twoRuns();
		runs[0].forget(0);
		expect(runs[0].recall(0)).toBeUndefined();
		expect(runs[0].recall(1)).toBeDefined();
		expect(runs[1].recall(0)).toBeDefined();
	});

	it('is one run, also when the number of another starts alike', () => {
		const { runs } = twoRuns();
		runs[0].clear();
		expect([0, 1].map((item) => runs[0].recall(item))).toEqual([undefined, undefined]);
		expect([0, 1].map((item) => runs[1].recall(item)?.constructor)).toEqual([Object, Object]);
	});

	it('leaves nothing in what n8n saves when all is cleared', () => {
		const { kept, runs } = twoRuns();
		for (const ledger of runs) ledger.clear();
		expect(JSON.stringify(kept)).not.toContain('guard');
	});

	it('is what it knew before, when it records anew', () => {
		const ledger = ledgerOf({ kept: {} });
		ledger.record(0, { outcomeUnknown: true });
		ledger.record(0, { jobId: 'j' });
		expect(ledger.recall(0)).toMatchObject({ jobId: 'j' });
		expect(ledger.recall(0)).not.toHaveProperty('outcomeUnknown');
	});
});

it('stores nothing of prompts, items and files', () => {
	const text = fc.stringMatching(/^[a-z]{12,40}$/);
	fc.assert(
		fc.property(text, text, text, (prompt, value, fileName) => {
			const kept: IDataObject = {};
			ledgerOf({
				kept,
				parameters: { prompt },
				items: [
					{
						json: { [value]: value },
						binary: { data: { fileName, data: fileName, mimeType: 'image/png' } },
					},
				],
			}).record(0, { jobId: 'j' });
			const stored = JSON.stringify(kept);
			for (const secret of [prompt, value, fileName]) expect(stored).not.toContain(secret);
			expect(stored.length).toBeLessThan(120);
		}),
	);
});
