import type { INode } from 'n8n-workflow';
import { ENDPOINT_CASES } from '../../support/endpointCases';
import { useLab } from '../lab';
import * as nodes from '../workflow';
import { Editor, eventually, spreadOut } from './editor';

const { chain, getJob, imageGenerate, manualTrigger, workflow } = nodes;
const exhibits: INode[] = [];

/** Puts a node into the workflow that these tests open. Each has its own: some change it. */
function exhibit(node: INode): INode {
	const name = `Node ${exhibits.length}`;
	exhibits.push({ ...node, id: name, name });
	return { ...node, id: name, name };
}

const lab = useLab(undefined, [beforeAll, afterAll]);
let editor: Editor;
beforeAll(async () => {
	editor = await Editor.open(lab.n8n.url);
	const file = workflow('Parameters', chain(manualTrigger(), ...exhibits));
	await editor.openWorkflow(await lab.save(spreadOut(file)));
});
afterEach(async () => {
	await editor.closeNode();
});
afterAll(async () => {
	await editor.close();
});

const ofGenerate = ['Prompt', 'Model', 'Reference Images', 'Number of Images'];
const ofFiles = ['Put Output File in Field', 'File Name'];
const ofPaid = [
	'Dry Run',
	'Include Input Fields',
	'Max Concurrent Jobs',
	'Max Jobs per Execution',
	'More API Fields (JSON)',
	'Resubmit If Unknown',
];
const ofWaiting = ['On Failed Job', 'On Timeout', 'Output Items', 'Timeout (Seconds)'];

describe.each(
	ENDPOINT_CASES.map(({ path, node, parameters }) => {
		const built = nodes[node](parameters);
		return { path, tool: exhibit({ ...built, type: `${built.type}Tool` }) };
	}),
)('$path', ({ tool }) => {
	it('as a tool has a description, which is there already and fits', async () => {
		await editor.openNode(tool.name);
		const description = editor.parameter('toolDescription').getByRole('textbox');
		expect(await description.inputValue()).toContain('job_id');
		type Box = Record<'scrollHeight' | 'clientHeight', number>;
		const isCutOff = (box: Box) => box.scrollHeight > box.clientHeight;
		expect(await description.evaluate(isCutOff)).toBe(false);
		// There are no input items whose cost could be told.
		expect(await editor.outputPanel.getByText('Each input item').count()).toBe(0);
	});
});

it.each<[string, INode, labels: string[], options: string[]]>([
	[
		'Image Generate',
		exhibit(imageGenerate({})),
		[...ofGenerate, 'Wait for Completion', 'Download Images', ...ofFiles, 'Options'],
		[...ofPaid, ...ofWaiting],
	],
	[
		'Image Generate that does not wait',
		exhibit(imageGenerate({ waitForCompletion: false })),
		[...ofGenerate, 'Wait for Completion', 'Options'],
		ofPaid,
	],
	[
		'Get Job that waits',
		exhibit(getJob({ waitForCompletion: true })),
		['Job ID', 'Wait for Completion', 'Download Images', ...ofFiles, 'Options'],
		['Include Input Fields', ...ofWaiting],
	],
])(
	'%s asks only for what concerns it, and offers such options',
	async (_, node, labels, options) => {
		await editor.openNode(node.name);
		await eventually(async () => {
			expect(await editor.labels()).toEqual(labels);
		});
		expect(await editor.optionsOffered()).toEqual([...options].sort());
	},
);

it.each<[string, INode, number]>([
	['says before a run that it costs credits', exhibit(imageGenerate({})), 1],
	['does not say so of a dry run', exhibit(imageGenerate({ options: { dryRun: true } })), 0],
])('%s', async (_, node, count) => {
	await editor.openNode(node.name);
	await eventually(async () => {
		const hint = editor.outputPanel.getByText('Each input item starts one paid job');
		expect(await hint.count()).toBe(count);
	});
});

const waiting = exhibit(imageGenerate({ options: { timeout: 300 } }));
it('says beside the timeout what happens after it', async () => {
	await editor.openNode(waiting.name);
	await editor.parameterPanel.getByText('A job that takes longer keeps running').waitFor();
});
