import type { IDataObject, INodeExecutionData, WorkflowExecuteMode } from 'n8n-workflow';

import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { ParameterReader } from '../../nodes/shared/engine/check/parameters';
import { guardsOf } from '../../nodes/shared/engine/jobs/guard';
import { attemptOf, type Attempt } from '../../nodes/shared/engine/jobs/jobKey';
import { fakeContext } from './fakeContext';

interface Given {
	mode?: WorkflowExecuteMode;
	executionId?: string;
	runIndex?: number;
	/** What n8n keeps for the node. */
	kept?: IDataObject;
	/** The prompt as it is written, and what it gives. */
	written?: string;
	prompt?: string;
	item?: INodeExecutionData;
	/** What the trigger put out, and its type. */
	trigger?: INodeExecutionData;
	triggerType?: string;
	/** What is before the node, in n8n's order. The one named Another has not run. */
	before?: string[];
	/** Of which nodes n8n was asked what is before them. */
	asked?: string[];
}

function attempt(given: Given = {}): Attempt {
	const { mode = 'webhook', executionId = '1', runIndex = 0, kept = {}, prompt } = given;
	const { item = { json: { words: 'a fox' } }, trigger = { json: { body: 'first' } } } = given;
	const { before = ['Hook', 'Another'] } = given;
	const parameters = { prompt: given.written ?? '={{ $json.words }}' };
	const putOut = (name: string, isWhole?: true) => ({
		all: () => {
			if (name === 'Another') throw new Error('the node has not been executed');
			if (name !== 'Hook') return [{ json: {} }];
			// As n8n does where files are a part of the JSON data.
			return [isWhole ? trigger : trigger.json];
		},
	});
	const context = fakeContext(parameters, {
		getMode: () => mode,
		getExecutionId: () => executionId,
		getContext: () => kept,
		getInputData: () => [item],
		getParentNodes: (name: string) => {
			given.asked?.push(name);
			const type = given.triggerType;
			return name === 'Node' ? before.map((each) => ({ name: each, type })) : [];
		},
		getWorkflowDataProxy: () => ({ $runIndex: runIndex, $: putOut }),
		getNodeParameter: () => prompt ?? parameters.prompt,
		helpers: { getBinaryMetadata: async () => await Promise.reject(new Error('File not found')) },
	});
	const reader = new ParameterReader(context);
	return attemptOf(context, guardsOf(context, generateImage), (itemIndex) =>
		reader.stableValues(['prompt'], itemIndex),
	);
}

const afterCrash = { mode: 'retry', executionId: '9' } as const;

const fileOf = (fileName: string, bytes: number, id = 'temp/binary_data/u1') => ({
	json: {},
	binary: {
		data: {
			...{ fileName, bytes, mimeType: 'image/png', data: 'filesystem-v2' },
			id: `filesystem-v2:workflows/w/executions/${id}`,
		},
	},
});
const withFile = (...file: Parameters<typeof fileOf>): Given => ({ item: fileOf(...file) });
const atTime = (time: string): Given => ({ written: '=at {{ $now }}', prompt: `at ${time}` });
/** An item that one of our jobs has put out. */
const ofJob = (url: string, made: string, prompt?: string): Given => ({
	item: { json: { job_id: 'j', status: 'Succeed', image_url: url, prompt: made } },
	...(prompt !== undefined && { prompt }),
});
const firstFile: Given = { trigger: fileOf('a.png', 9) };
const movedFile: Given = { trigger: fileOf('a.png', 9, '7/binary_data/u1') };
const ANOTHER = 'temp/binary_data/u2';
const secondRound = { aetherForgeFirstAttempt: { runIndex: 0, endedRuns: 1 } };

it.each<[what: string, isSame: boolean, before: Given, after: Given]>([
	['in another attempt', true, {}, {}],
	['where n8n has added a run before its own', true, { runIndex: 0 }, { runIndex: 1 }],
	['whose prompt holds the time', true, atTime('12:00'), atTime('12:05')],
	['whose file has another name', true, withFile('a.png', 9), withFile('b.png', 9, ANOTHER)],
	['whose trigger’s file n8n has moved', true, firstFile, movedFile],
	['of triggers in another order', true, { before: ['Hook', 'B'] }, { before: ['B', 'Hook'] }],
	['that comes from one of our jobs', true, ofJob('u', 'at 12:00'), ofJob('v', 'at 12:05')],
	['for what another trigger put out', false, {}, { trigger: { json: { body: 'second' } } }],
	['in another round', false, {}, { runIndex: 1, kept: secondRound }],
	['for another item', false, {}, { item: { json: { words: 'a wolf' } } }],
	['of a larger file', false, withFile('a.png', 9), withFile('a.png', 10)],
	['of another prompt, as written', false, {}, { written: 'a wolf' }],
	['of what another node gives now', false, { prompt: 'a fox' }, { prompt: 'a wolf' }],
	['of another of our jobs', false, ofJob('u', 'red', 'red'), ofJob('u', 'blue', 'blue')],
])('after a crash a job %s is the same: %s', async (_, isSame, before, after) => {
	const keys = [attempt(before), attempt({ ...afterCrash, ...after })].map(async ({ keyOf }) => {
		return await keyOf(0);
	});
	expect(new Set(await Promise.all(keys)).size).toBe(isSame ? 1 : 2);
});

it('is the same in each release: after an update that changes it, a retry pays again', async () => {
	expect(await attempt({ ...firstFile, ...withFile('a.png', 9) }).keyOf(0)).toBe(
		'2aae11b81d62a253b66584fa70e3481f',
	);
});

it('knows which attempt was the first, and which of its runs have ended', () => {
	const kept = {};
	const first = attempt({ kept });
	expect(first).toMatchObject({ firstExecutionId: '1', hasEnded: false });
	first.end();
	expect(attempt({ ...afterCrash, kept })).toMatchObject({ firstExecutionId: '1', hasEnded: true });
	expect(attempt({ ...afterCrash, kept, runIndex: 1 }).hasEnded).toBe(false);
	// A crash leaves nothing.
	const forgotten = { firstExecutionId: undefined, hasEnded: false };
	expect(attempt(afterCrash)).toMatchObject(forgotten);
});

it.each([
	['n8n-nodes-base.webhook', ['Node']],
	['n8n-nodes-base.formTrigger', ['Node']],
	['n8n-nodes-other.begins', ['Node', 'Hook', 'Another']],
])('asks n8n for the way back to %s no more often than need be', (triggerType, expected) => {
	const asked: string[] = [];
	attempt({ triggerType, asked });
	expect(asked).toEqual(expected);
});
