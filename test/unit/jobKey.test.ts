import type {
	IDataObject,
	IExecuteFunctions,
	INode,
	INodeExecutionData,
	INodeParameters,
	WorkflowExecuteMode,
} from 'n8n-workflow';

import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { ParameterReader } from '../../nodes/shared/engine/check/parameters';
import { guardsOf } from '../../nodes/shared/engine/jobs/guard';
import { attemptOf, type Attempt } from '../../nodes/shared/engine/jobs/jobKey';

interface Given {
	mode?: WorkflowExecuteMode;
	executionId?: string;
	runIndex?: number;
	/** What n8n keeps for the node. */
	kept?: IDataObject;
	parameters?: INodeParameters;
	/** What an expression gives, by the name of its parameter. */
	evaluated?: Record<string, unknown>;
	item?: INodeExecutionData;
	/** What the trigger put out. */
	trigger?: INodeExecutionData[];
	triggerType?: string;
	/** Of which nodes n8n was asked what is before them. */
	asked?: string[];
}

const file = (name: string, bytes: number, uuid = 'u1') => ({
	data: {
		id: `filesystem-v2:workflows/w/executions/temp/binary_data/${uuid}`,
		data: 'filesystem-v2',
		mimeType: 'image/png',
		fileName: name,
		bytes,
	},
});

function attempt(given: Given = {}): Attempt {
	const { mode = 'webhook', executionId = '1', runIndex = 0, kept = {} } = given;
	const parameters = given.parameters ?? { prompt: '={{ $json.words }}' };
	const node: INode = {
		id: 'node',
		name: 'Node',
		type: 'n8n-nodes-aetherforge.imageGenerate',
		typeVersion: 1,
		position: [0, 0],
		parameters,
	};
	const trigger = given.trigger ?? [{ json: { body: 'first' } }];
	const context = {
		getMode: () => mode,
		getExecutionId: () => executionId,
		getContext: () => kept,
		getNode: () => node,
		getInputData: () => [given.item ?? { json: { words: 'a fox' } }],
		getParentNodes: (name: string) => {
			given.asked?.push(name);
			return name === 'Node' ? [{ name: 'Hook', type: given.triggerType }] : [];
		},
		getWorkflowDataProxy: () => ({ $runIndex: runIndex, $: () => ({ all: () => trigger }) }),
		getNodeParameter: (name: string) => given.evaluated?.[name] ?? parameters[name],
		helpers: { getBinaryMetadata: async () => await Promise.reject(new Error('File not found')) },
	} as object as IExecuteFunctions;
	const reader = new ParameterReader(context);
	return attemptOf(context, guardsOf(context, generateImage), (itemIndex) =>
		reader.stableValues(['prompt'], itemIndex),
	);
}

const keyOf = async (given?: Given) => await attempt(given).keyOf(0);
const afterCrash = { mode: 'retry', executionId: '9' } as const;

it.each<[string, Given, Given]>([
	['in another attempt', {}, afterCrash],
	[
		'where n8n has added a run before its own',
		{ runIndex: 0 },
		{ ...afterCrash, runIndex: 1, kept: {} },
	],
	[
		'whose prompt holds the time',
		{ parameters: { prompt: '=at {{ $now }}' }, evaluated: { prompt: 'at 12:00' } },
		{ ...afterCrash, parameters: { prompt: '=at {{ $now }}' }, evaluated: { prompt: 'at 12:05' } },
	],
	[
		'whose file has another name',
		{ item: { json: {}, binary: file('hero-1200.png', 99) } },
		{ ...afterCrash, item: { json: {}, binary: file('hero-1205.png', 99, 'u2') } },
	],
	[
		'whose trigger’s file n8n has moved',
		{ trigger: [{ json: {}, binary: file('a.png', 9) }] },
		{
			...afterCrash,
			trigger: [
				{
					json: {},
					binary: {
						data: {
							...file('a.png', 9).data,
							id: 'filesystem-v2:workflows/w/executions/7/binary_data/u1',
						},
					},
				},
			],
		},
	],
	[
		'that comes from one of our jobs with another prompt beside it',
		{ item: { json: { job_id: 'j', status: 'Succeed', image_url: 'u', prompt: 'at 12:00' } } },
		{
			...afterCrash,
			item: { json: { job_id: 'j', status: 'Succeed', image_url: 'v', prompt: 'at 12:05' } },
		},
	],
])('a job is the same %s', async (_, before, after) => {
	expect(await keyOf(after)).toBe(await keyOf(before));
});

const fromJob = (words: string): INodeExecutionData => ({
	json: { job_id: 'j', status: 'Succeed', image_url: 'u', words },
});

it.each<[string, Given, Given]>([
	['for what another trigger put out', {}, { trigger: [{ json: { body: 'second' } }] }],
	[
		'in another round',
		{ kept: {} },
		{ runIndex: 1, kept: { aetherForgeFirstAttempt: { runIndex: 0, endedRuns: 1 } } },
	],
	['for another item', {}, { item: { json: { words: 'a wolf' } } }],
	[
		'of a file of another size',
		{ item: { json: {}, binary: file('a.png', 9) } },
		{ item: { json: {}, binary: file('a.png', 10) } },
	],
	['of another prompt, as written', {}, { parameters: { prompt: 'a wolf' } }],
	[
		'of what another node gives now',
		{ evaluated: { prompt: 'a fox' } },
		{ evaluated: { prompt: 'a wolf' } },
	],
	[
		'of an item that shares one of our jobs',
		{ item: fromJob('red'), evaluated: { prompt: 'red' } },
		{ item: fromJob('blue'), evaluated: { prompt: 'blue' } },
	],
])('a job is another one %s', async (_, one, other) => {
	expect(await keyOf(one)).not.toBe(await keyOf(other));
});

it('knows which attempt was the first, and which of its runs have ended', () => {
	const kept = {};
	const first = attempt({ kept });
	expect([first.firstExecutionId, first.hasEnded]).toEqual(['1', false]);
	first.end();
	const retry = attempt({ ...afterCrash, kept });
	expect([retry.firstExecutionId, retry.hasEnded]).toEqual(['1', true]);
	expect(attempt({ ...afterCrash, kept, runIndex: 1 }).hasEnded).toBe(false);
	// A crash leaves nothing.
	const forgotten = attempt(afterCrash);
	expect([forgotten.firstExecutionId, forgotten.hasEnded]).toEqual([undefined, false]);
});

it.each([
	['n8n-nodes-base.webhook', ['Node']],
	['n8n-nodes-base.formTrigger', ['Node']],
	['n8n-nodes-other.begins', ['Node', 'Hook']],
])('asks n8n for the way back to %s no more often than need be', (triggerType, expected) => {
	const asked: string[] = [];
	attempt({ triggerType, asked });
	expect(asked).toEqual(expected);
});
