import type { INodeProperties, IRelatedNode, NodeHint } from 'n8n-workflow';

// The parameters, options and hints that nodes share.

/** Whether n8n shows the node as an AI agent's tool, as `displayOptions` have it. */
const asTool = { '@tool': [true] };

const outputItems: INodeProperties = {
	displayName: 'Output Items',
	name: 'outputItems',
	type: 'options',
	options: [
		{
			name: 'One per Image',
			value: 'perImage',
			description: 'Each image becomes a separate item',
		},
		{
			name: 'One per Job',
			value: 'perJob',
			description: 'All images of a job stay together in one item',
		},
	],
	default: 'perImage',
	displayOptions: { show: { '/waitForCompletion': [true] }, hide: asTool },
	description: 'How to return a job that has several images',
	builderHint: {
		propertyHint:
			'Use perJob if another AetherForge node follows and should run once per job: it charges for each item',
	},
};

const timeout: INodeProperties = {
	displayName: 'Timeout (Seconds)',
	name: 'timeout',
	type: 'number',
	typeOptions: { minValue: 1 },
	default: 300,
	displayOptions: { show: { '/waitForCompletion': [true] } },
	description: 'How long to wait for each job, counted from its submission',
	hint: 'A job that takes longer keeps running and is charged: see "On Timeout"',
};

const onTimeout: INodeProperties = {
	displayName: 'On Timeout',
	name: 'onTimeout',
	type: 'options',
	options: [
		{
			name: 'Return the Pending Job',
			value: 'returnPending',
			description:
				'Return an item with the job ID and "timed_out", so that you can check on the job later',
		},
		{
			name: 'Throw an Error',
			value: 'error',
			description: 'The item fails. The message and its data include the job ID.',
		},
	],
	default: 'error',
	displayOptions: { show: { '/waitForCompletion': [true] } },
	description:
		'What to do with a job that is not finished in time. It keeps running and is charged.',
};

const onFailed: INodeProperties = {
	displayName: 'On Failed Job',
	name: 'onFailed',
	type: 'options',
	options: [
		{
			name: 'Return the Failed Job',
			value: 'returnFailed',
			description: 'Return an item with the job ID and the status "Failed"',
		},
		{
			name: 'Throw an Error',
			value: 'error',
			description: 'The item fails. The message and its data include the job ID.',
		},
	],
	default: 'error',
	displayOptions: { show: { '/waitForCompletion': [true] } },
	description: 'What to do with a job that AetherForge could not finish',
};

const maxConcurrentJobs: INodeProperties = {
	displayName: 'Max Concurrent Jobs',
	name: 'maxConcurrentJobs',
	type: 'number',
	typeOptions: { minValue: 1 },
	default: 20,
	description:
		'Maximum number of jobs in progress at once. No more than 20 are submitted in parallel.',
};

const variations: INodeProperties = {
	displayName: 'Number of Variations',
	name: 'jobsPerItem',
	type: 'number',
	typeOptions: { minValue: 1, maxValue: 20 },
	default: 1,
	description:
		'How many times to send the same request, from 1 to 20. Each variation is a separate paid job.',
	builderHint: { propertyHint: 'Leave at 1 unless the user asks for several results' },
};

const includeInputFields: INodeProperties = {
	displayName: 'Include Input Fields',
	name: 'includeInputFields',
	type: 'boolean',
	default: false,
	description:
		"Whether to copy the input item's JSON fields to the output items. The node's own fields win.",
};

const additionalFields: INodeProperties = {
	displayName: 'More API Fields (JSON)',
	name: 'additionalFields',
	type: 'json',
	default: '{}',
	hint: 'e.g. {"new_field": "x"}',
	description:
		'Extra fields for the AetherForge API, such as parameters newer than this version: a JSON object of text, numbers, or booleans',
};

const maxJobsPerExecution: INodeProperties = {
	displayName: 'Max Jobs per Execution',
	name: 'maxJobsPerExecution',
	type: 'number',
	typeOptions: { minValue: 0 },
	default: 100,
	description:
		'Maximum number of jobs this node may start in one execution, across all items, loops, and agent calls. If an input needs more, none of its jobs is started.',
	hint: '0 means no limit',
};

const dryRun: INodeProperties = {
	displayName: 'Dry Run',
	name: 'dryRun',
	type: 'boolean',
	default: false,
	description: 'Whether to check the input and show what would be sent, without starting paid jobs',
	builderHint: { propertyHint: 'Set to true for test runs: otherwise they are charged too' },
};

const resubmitIfUnknown: INodeProperties = {
	displayName: 'Resubmit If Unknown',
	name: 'resubmitIfUnknown',
	type: 'boolean',
	default: false,
	description:
		'Whether a retry may resend a request that may already have started a job. You may be charged twice.',
};

/** n8n lists options as they are declared, and wants them in alphabetical order. */
function collection(options: INodeProperties[]): INodeProperties {
	return {
		displayName: 'Options',
		name: 'options',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: options.toSorted((a, b) => (a.displayName < b.displayName ? -1 : 1)),
	};
}

/**
 * The default description of the node as a tool, which an AI agent's model reads. n8n would add this
 * parameter by itself, but with the node's description for people: it honors `replacements` of
 * `usableAsTool` in the editor only, not in what it tells the model.
 *
 * @param show where the text holds, in a node with several operations
 */
export function toolDescription(
	text: string,
	show: Readonly<Record<string, string[]>> = {},
): INodeProperties {
	return {
		displayName: 'Description',
		name: 'toolDescription',
		type: 'string',
		typeOptions: { rows: 6 },
		default: text,
		required: true,
		displayOptions: { show: { ...asTool, ...show } },
		description: "Tells the agent's model what this tool does and when to use it",
	};
}

/** The same for a tool whose calls cost credits: a model that is not told so repeats a failed call. */
export function paidTool(text: string, show?: Readonly<Record<string, string[]>>): INodeProperties {
	return {
		...toolDescription(
			`${text} Each call costs credits. If the status is Pending, check it later by its job_id. If it is Failed, do not repeat the call unless the user asks.`,
			show,
		),
		hint: 'Each call of the tool starts a paid job',
	};
}

/** For nodes that start paid jobs: what n8n's AI builder should know of Get Job. */
export const checksOnJobs: IRelatedNode = {
	nodeType: 'n8n-nodes-aetherforge.getJob',
	relationHint: 'Collects a job by its job_id, free of charge, if the node did not wait for it',
};

/** For nodes that start paid jobs: what an execution costs, and how long it takes. n8n always shows it. */
export const jobHints: NodeHint[] = [
	{
		message:
			'Each input item starts one paid job, or several if you ask for more images or variations, and takes minutes (an image of GPT Image 1.5: 80 to 130 seconds). To check everything without paying, turn on "Dry Run" under Options.',
		type: 'info',
		location: 'outputPane',
		whenToDisplay: 'beforeExecution',
		// A tool has no input items, and is not executed from its panel.
		displayCondition: '={{ !$parameter["toolDescription"] && !$parameter["options"]["dryRun"] }}',
	},
];

/** For nodes that start paid jobs: whether to wait, what to return, and the options. */
export const jobProperties: INodeProperties[] = jobPropertiesWith(outputItems, variations);

/** The same, with the number of jobs next to what they are asked for. */
export const imageJobProperties: INodeProperties[] = [
	{
		...variations,
		displayName: 'Number of Images',
		description:
			'How many times to generate an image from the same input, from 1 to 20. Each one is a separate paid job.',
	},
	...jobPropertiesWith(outputItems),
];

/** The same, with the sheet and the GIF of a job in one item: the next node would charge for both. */
export const spriteJobProperties: INodeProperties[] = jobPropertiesWith(
	{ ...outputItems, default: 'perJob' },
	variations,
);

function jobPropertiesWith(...own: INodeProperties[]): INodeProperties[] {
	return [
		{
			displayName: 'Wait for Completion',
			name: 'waitForCompletion',
			type: 'boolean',
			default: true,
			description:
				'Whether to wait until the job is finished and return its images. Otherwise the job ID is returned immediately, for the Get Job node.',
		},
		...fileProperties({ waitForCompletion: [true] }),
		collection([
			dryRun,
			includeInputFields,
			maxConcurrentJobs,
			maxJobsPerExecution,
			additionalFields,
			onFailed,
			onTimeout,
			resubmitIfUnknown,
			timeout,
			...own,
		]),
	];
}

/** For nodes that check on jobs: the same, but nothing that costs money. */
export const lookupProperties: INodeProperties[] = [
	{
		displayName: 'Wait for Completion',
		name: 'waitForCompletion',
		type: 'boolean',
		default: false,
		description:
			'Whether to poll until the job is finished. Otherwise its status is checked once and returned as is.',
	},
	...fileProperties({}),
	collection([
		includeInputFields,
		{ ...onFailed, default: 'returnFailed', displayOptions: {} },
		onTimeout,
		{ ...outputItems, displayOptions: { hide: asTool } },
		timeout,
	]),
];

function fileProperties(show: Record<string, boolean[]>): INodeProperties[] {
	const ofFiles = { show: { ...show, downloadImages: [true] }, hide: asTool };
	return [
		{
			displayName: 'Download Images',
			name: 'downloadImages',
			type: 'boolean',
			default: true,
			displayOptions: { show, hide: asTool },
			description:
				'Whether to put the finished images into the output as files. Otherwise only their URLs are returned.',
		},
		{
			displayName: 'Put Output File in Field',
			name: 'binaryPropertyOutput',
			type: 'string',
			default: 'data',
			required: true,
			placeholder: 'e.g. data',
			displayOptions: ofFiles,
			hint: 'The name of the output binary field to put the image in',
		},
		{
			displayName: 'File Name',
			name: 'fileName',
			type: 'string',
			default: '',
			placeholder: 'e.g. {{ $json.name }}',
			displayOptions: ofFiles,
			description:
				'The name of the output files, without extension. Further files of the same name end in -2, -3, and so on. If empty, the job ID and a number are used.',
		},
	];
}
