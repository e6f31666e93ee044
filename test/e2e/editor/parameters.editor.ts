import type { INode, INodeParameters } from 'n8n-workflow';
import { openLab, type Lab } from '../lab';
import {
	chain,
	effectGenerate,
	getJob,
	imageGenerate,
	imageTune,
	manualTrigger,
	sprite,
	withCredential,
	workflow,
} from '../workflow';
import { Editor, eventually, labelsCutOff, spreadOut } from './editor';

const exhibits: INode[] = [];

/** Puts a node into the workflow that these tests open. Each has its own: some change it. */
function exhibit(name: string, node: INode): string {
	exhibits.push({ ...node, name });
	return name;
}

let lab: Lab;
let editor: Editor;
beforeAll(async () => {
	lab = await openLab();
	editor = await Editor.open(lab.n8n.url);
	const file = workflow('Parameters', chain(manualTrigger(), ...exhibits));
	const saved = await lab.n8n.createWorkflow(spreadOut(withCredential(file, lab.credential)));
	await editor.openWorkflow(saved);
});
afterEach(async () => {
	await editor.closeNode();
});
afterAll(async () => {
	await editor.close();
	await lab.close();
});

async function expectLabels(labels: string[]): Promise<void> {
	await eventually(async () => {
		expect(await editor.labels()).toEqual(labels);
	});
}

function without(labels: string[], ...hidden: string[]): string[] {
	return labels.filter((label) => !hidden.includes(label));
}

/** The node as n8n offers it to an AI agent. */
function asTool(node: INode): INode {
	return { ...node, type: `${node.type}Tool` };
}

const imageLabels = ['Image Source', 'Image Field Name'];

/** Below the parameters of every node that starts jobs. */
const fileLabels = ['Put Output File in Field', 'File Name'];
const jobLabels = ['Wait for Completion', 'Download Images', ...fileLabels, 'Options'];

describe('Image Generate', () => {
	const labels = ['Prompt', 'Model', 'Reference Images', 'Number of Images', ...jobLabels];
	const allOptions: INodeParameters = {
		additionalFields: '{}',
		dryRun: false,
		includeInputFields: false,
		maxConcurrentJobs: 20,
		maxJobsPerExecution: 100,
		onFailed: 'error',
		onTimeout: 'error',
		outputItems: 'perImage',
		resubmitIfUnknown: false,
		timeout: 300,
	};

	const fresh = exhibit('Fresh Generate', imageGenerate({}));
	it('asks from top to bottom as one thinks', async () => {
		await editor.openNode(fresh);
		await expectLabels(labels);
	});

	const references = exhibit('References', imageGenerate({ prompt: 'A red fox' }));
	it('asks for binary fields or URLs only when they are to be sent, and says what to enter', async () => {
		await editor.openNode(references);
		await editor.choose('referenceImages', 'All Binary Fields of the Item');
		await expectLabels(labels);
		await editor.choose('referenceImages', 'Selected Binary Fields');
		await expectLabels(labels.toSpliced(3, 0, 'Input Data Field Name(s)'));
		await editor.parameterPanel
			.getByText('The names of the input binary fields that hold the images, separated by commas')
			.waitFor();
		await editor.choose('referenceImages', 'URLs');
		await expectLabels(labels.toSpliced(3, 0, 'Reference Image URL(s)'));
		await editor.parameterPanel.getByText('Separate several URLs with spaces').waitFor();
		await editor.choose('referenceImages', 'None');
		await expectLabels(labels);
	});

	const switchedOff = exhibit('Switched off', imageGenerate({ prompt: 'A red fox' }));
	it('asks for what becomes of the images only when there will be some', async () => {
		await editor.openNode(switchedOff);
		await editor.toggle('downloadImages');
		await expectLabels(without(labels, ...fileLabels));
		await editor.toggle('waitForCompletion');
		await expectLabels(without(labels, 'Download Images', ...fileLabels));
		expect(await editor.optionsOffered()).toEqual([
			'Dry Run',
			'Include Input Fields',
			'Max Concurrent Jobs',
			'Max Jobs per Execution',
			'More API Fields (JSON)',
			'Resubmit If Unknown',
		]);
	});

	it('offers all options, in alphabetical order, when it waits', async () => {
		await editor.openNode(fresh);
		const offered = await editor.optionsOffered();
		expect(offered).toHaveLength(Object.keys(allOptions).length);
		expect(offered).toEqual([...offered].sort());
	});

	const dryRun = exhibit('Dry', imageGenerate({ prompt: 'A fox', options: { dryRun: true } }));
	it('says before a run that it costs credits, unless it is a dry run', async () => {
		const hint = editor.outputPanel.getByText('Each input item starts one paid job');
		await editor.openNode(fresh);
		await hint.waitFor();
		await editor.closeNode();
		await editor.openNode(dryRun);
		await eventually(async () => {
			expect(await hint.count()).toBe(0);
		});
	});

	const full = exhibit(
		'Full Generate',
		imageGenerate({ prompt: 'A fox', referenceImages: 'selected', options: allOptions }),
	);
	it('says beside the timeout what happens after it', async () => {
		await editor.openNode(full);
		await editor.parameterPanel.getByText('A job that takes longer keeps running').waitFor();
	});

	it('cuts off no label', async () => {
		await editor.openNode(full);
		await expectLabels(expect.arrayContaining(['Timeout (Seconds)']) as string[]);
		expect(await labelsCutOff(editor.page)).toEqual([]);
	});

	const tool = exhibit('Generate tool', asTool(imageGenerate({})));
	it('asks as a tool for URLs and a description, which is there already, and for nothing about output files', async () => {
		await editor.openNode(tool);
		const own = labels.toSpliced(3, 0, 'Reference Image URL(s)');
		await expectLabels(['Description', ...without(own, 'Download Images', ...fileLabels)]);
		// There are no input items whose cost could be told.
		expect(await editor.outputPanel.getByText('Each input item').count()).toBe(0);
		const description = editor.parameter('toolDescription').getByRole('textbox');
		expect(await description.inputValue()).toMatch(/^Generates one image .* costs credits\./);
	});
});

describe.each<
	[string, (parameters: INodeParameters) => INode, [string, INodeParameters, string[]][]]
>([
	[
		'Image Tune',
		imageTune,
		[
			['Upscale', {}, ['Operation', ...imageLabels, 'Scale']],
			['Inpaint', { operation: 'inpaint' }, ['Operation', ...imageLabels, 'Prompt', 'Quality']],
			[
				'Split Image by URL',
				{ operation: 'splitLayers', imageSource: 'url' },
				['Operation', 'Image Source', 'Image URL', 'Keyword'],
			],
		],
	],
	[
		'Effect Generate',
		effectGenerate,
		[
			['V1', { apiVersion: 'v1' }, ['Version', 'Effect Description', 'Resolution', 'Image Source']],
			['V2', {}, ['Version', 'Effect Description', 'Quality', 'Frames', 'Image Source']],
			[
				'V2 with an image',
				{ imageSource: 'binary' },
				['Version', 'Effect Description', 'Quality', 'Frames', ...imageLabels],
			],
		],
	],
	[
		'Sprite',
		sprite,
		[
			[
				'Make Sprite V1',
				{},
				['Operation', 'Version', ...imageLabels, 'Motion', 'Frames', 'Input Is Pixel Art'],
			],
			[
				'Make Sprite V2 with an end frame',
				{ apiVersion: 'v2', endFrameImageSource: 'binary' },
				[
					'Operation',
					'Version',
					'Start Frame Source',
					'Start Frame Field Name',
					'End Frame Source',
					'End Frame Field Name',
					'Motion',
					'Frames',
					'Input Is Pixel Art',
				],
			],
			[
				'Reskin Sprite Sheet V1',
				{ operation: 'reskin' },
				['Operation', 'Version', ...imageLabels, 'Reskin Description', 'Resolution', 'Style'],
			],
			[
				'Reskin Sprite Sheet V2',
				{ operation: 'reskin', apiVersion: 'v2' },
				['Operation', 'Version', ...imageLabels, 'Reskin Description', 'Quality', 'Style'],
			],
			[
				'Overlay Characters V1',
				{ operation: 'characterOverlay' },
				[
					'Operation',
					'Version',
					'Sprite Sheet Source',
					'Sprite Sheet Field Name',
					'Character Images Source',
					'Character Field Name(s)',
					'Specify Rows',
					'Rows',
					'Resolution',
					'Style',
				],
			],
			[
				'Overlay Characters V2 with rows as JSON and characters by URL',
				{
					operation: 'characterOverlay',
					apiVersion: 'v2',
					characterImagesSource: 'url',
					rowsInput: 'json',
				},
				[
					'Operation',
					'Version',
					'Sprite Sheet Source',
					'Sprite Sheet Field Name',
					'Character Images Source',
					'Character URL(s)',
					'Specify Rows',
					'Rows (JSON)',
					'Quality',
					'Style',
				],
			],
		],
	],
])('%s', (nodeName, build, forms) => {
	it.each(
		forms.map(([name, parameters, labels]) => ({
			name,
			labels,
			exhibitName: exhibit(`${nodeName}: ${name}`, build(parameters)),
		})),
	)('$name shows its own parameters, and cuts off no label', async ({ labels, exhibitName }) => {
		await editor.openNode(exhibitName);
		await expectLabels([...labels, ...jobLabels]);
		expect(await labelsCutOff(editor.page)).toEqual([]);
	});

	it.each(
		forms.map(([name, parameters]) => ({
			name,
			exhibitName: exhibit(`${nodeName} tool: ${name}`, asTool(build(parameters))),
		})),
	)('$name cuts off no label and no description as a tool', async ({ exhibitName }) => {
		await editor.openNode(exhibitName);
		await expectLabels(expect.arrayContaining(['Description', 'Options']) as string[]);
		expect(await labelsCutOff(editor.page)).toEqual([]);
		expect(await editor.hasScrollbar('toolDescription')).toBe(false);
	});
});

describe('Get Job', () => {
	const labels = ['Job ID', 'Wait for Completion', 'Download Images', ...fileLabels, 'Options'];

	const fresh = exhibit('Fresh Get Job', getJob({}));
	it('asks from top to bottom as one thinks', async () => {
		await editor.openNode(fresh);
		await expectLabels(labels);
	});

	const switchedOff = exhibit('Get Job switched off', getJob({}));
	it('asks for the field of the images only when they are downloaded', async () => {
		await editor.openNode(switchedOff);
		await editor.toggle('downloadImages');
		await expectLabels(without(labels, ...fileLabels));
	});

	const waiting = exhibit('Waiting Get Job', getJob({ waitForCompletion: true }));
	it('offers what concerns waiting only when it waits', async () => {
		await editor.openNode(fresh);
		expect(await editor.optionsOffered()).toEqual([
			'Include Input Fields',
			'On Failed Job',
			'Output Items',
		]);
		await editor.closeNode();
		await editor.openNode(waiting);
		expect(await editor.optionsOffered()).toEqual([
			'Include Input Fields',
			'On Failed Job',
			'On Timeout',
			'Output Items',
			'Timeout (Seconds)',
		]);
	});

	const full = exhibit(
		'Full Get Job',
		getJob({
			waitForCompletion: true,
			options: {
				includeInputFields: false,
				onFailed: 'returnFailed',
				onTimeout: 'error',
				outputItems: 'perImage',
				timeout: 300,
			},
		}),
	);
	it('cuts off no label', async () => {
		await editor.openNode(full);
		await expectLabels(expect.arrayContaining(['Timeout (Seconds)']) as string[]);
		expect(await labelsCutOff(editor.page)).toEqual([]);
	});

	const tool = exhibit('Get Job tool', asTool(getJob({})));
	it('asks as a tool for a description, which is there already, and for nothing about output files', async () => {
		await editor.openNode(tool);
		await expectLabels(['Description', ...without(labels, 'Download Images', ...fileLabels)]);
		const description = editor.parameter('toolDescription').getByRole('textbox');
		expect(await description.inputValue()).toMatch(
			/^Checks the status of a job .* Free of charge\.$/,
		);
	});
});
