import {
	NodeHelpers,
	type INode,
	type INodeParameters,
	type INodeProperties,
	type INodePropertyOptions,
	type INodeTypeDescription,
} from 'n8n-workflow';
import { useLab } from '../lab';
import { chain, getJob, imageGenerate, manualTrigger, workflow } from '../workflow';
import { forms } from './descriptions';
import { Editor, eventually, spreadOut } from './editor';

const exhibits: INode[] = [];

/** Puts a node into the workflow that these tests open. Each has its own: some change it. */
function exhibit(node: INode): INode {
	const name = `Node ${exhibits.length}`;
	exhibits.push({ ...node, id: name, name });
	return { ...node, id: name, name };
}

const lab = useLab(undefined, [beforeAll, afterAll]);
let editor: Editor;
let types: INodeTypeDescription[];
beforeAll(async () => {
	types = await lab.n8n.nodeTypes();
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

/** The parameters that are to be shown of a node, in their order. */
function shown({ type, parameters }: INode): INodeProperties[] {
	const description = types.find(({ name }) => name === type);
	if (description === undefined) throw new Error(`n8n does not know ${type}.`);
	const { properties } = description;
	const node = { typeVersion: 1 };
	const values = NodeHelpers.getNodeParameters(
		properties,
		parameters,
		true,
		false,
		node,
		description,
	);
	return properties.filter(
		(property) =>
			property.type !== 'notice' &&
			NodeHelpers.displayParameter(values ?? {}, property, node, description),
	);
}

const labelsOf = (properties: INodeProperties[]): string[] =>
	properties.map(({ displayName }) => displayName);

async function expectLabels(node: INode): Promise<void> {
	await eventually(async () => {
		expect(await editor.labels()).toEqual(labelsOf(shown(node)));
	});
}

/** Every list with its last choice, and every option. */
function filled({ properties }: INodeTypeDescription): INodeParameters {
	const lists = properties.filter(({ type }) => type === 'options');
	const last = lists.map(({ name, options = [] }) => [
		name,
		(options as INodePropertyOptions[]).at(-1)?.value,
	]);
	const { options = [] } = properties.find(({ name }) => name === 'options') ?? {};
	const added = (options as INodeProperties[]).map((option) => [option.name, option.default]);
	const all: unknown = Object.fromEntries([...last, ['options', Object.fromEntries(added)]]);
	return { ...(all as INodeParameters), waitForCompletion: true };
}

describe.each(
	forms.map(({ form, description, selected }) => {
		const node = imageGenerate(selected);
		node.type = node.type.replace('imageGenerate', description.name);
		const parameters = { ...filled(description), ...selected };
		return {
			form,
			fresh: exhibit(node),
			full: exhibit({ ...node, parameters }),
			tool: exhibit({ ...node, type: `${node.type}Tool` }),
		};
	}),
)('$form', ({ fresh, full, tool }) => {
	it('shows its parameters in their order, and cuts off no label', async () => {
		await editor.openNode(fresh.name);
		await expectLabels(fresh);
		expect(await editor.cutOff()).toEqual([]);
	});

	it('cuts off no label of any option and of what other choices show', async () => {
		await editor.openNode(full.name);
		const properties = shown(full);
		const options = properties.find(({ name }) => name === 'options')?.options ?? [];
		const labels = [...labelsOf(properties), ...labelsOf(options as INodeProperties[])];
		await eventually(async () => {
			expect((await editor.labels()).sort()).toEqual(labels.sort());
		});
		expect(await editor.cutOff()).toEqual([]);
	});

	it('as a tool has a description, which is there already, and cuts off nothing', async () => {
		await editor.openNode(tool.name);
		await expectLabels(tool);
		const [description] = shown(tool);
		const text = editor.parameter('toolDescription').getByRole('textbox');
		expect(await text.inputValue()).toBe(description?.default);
		expect(await editor.cutOff()).toEqual([]);
		// There are no input items whose cost could be told.
		expect(await editor.outputPanel.getByText('Each input item').count()).toBe(0);
	});
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
const ofLookup = ['Include Input Fields', 'On Failed Job', 'Output Items'];

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
		'Get Job that does not download',
		exhibit(getJob({ downloadImages: false })),
		['Job ID', 'Wait for Completion', 'Download Images', 'Options'],
		ofLookup,
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
