import type { INodeProperties } from 'n8n-workflow';

// The parameters and options that nodes share.

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
			description: 'Each image becomes an item of its own',
		},
		{
			name: 'One per Job',
			value: 'perJob',
			description: 'All images of a job stay together in one item',
		},
	],
	default: 'perImage',
	displayOptions: { show: { '/waitForCompletion': [true] } },
	description: 'How the images of a job are spread over output items. A job may give several.',
};

const timeout: INodeProperties = {
	displayName: 'Timeout (Seconds)',
	name: 'timeout',
	type: 'number',
	typeOptions: { minValue: 1 },
	default: 300,
	displayOptions: { show: { '/waitForCompletion': [true] } },
	description: 'How long to wait for each job, counted from its start',
	hint: 'A job that takes longer goes on and is paid for: see "On Timeout"',
};

const pollInterval: INodeProperties = {
	displayName: 'Poll Interval (Seconds)',
	name: 'pollInterval',
	type: 'number',
	typeOptions: { minValue: 1 },
	default: 2,
	displayOptions: { show: { '/waitForCompletion': [true] } },
	description:
		'How long to pause between two look-ups of a job. Jobs that take long are looked up less often. At least 1.',
};

const onTimeout: INodeProperties = {
	displayName: 'On Timeout',
	name: 'onTimeout',
	type: 'options',
	options: [
		{
			name: 'Return the Pending Job',
			value: 'returnPending',
			description: 'The item comes out with its job ID and "timed_out", to be looked up later',
		},
		{
			name: 'Stop and Name the Job',
			value: 'error',
			description: 'The item fails. The message and its data hold the job ID.',
		},
	],
	default: 'error',
	displayOptions: { show: { '/waitForCompletion': [true] } },
	description: 'What to do with a job that is not finished in time. It goes on and is paid for.',
};

const onFailed: INodeProperties = {
	displayName: 'On Failed Job',
	name: 'onFailed',
	type: 'options',
	options: [
		{
			name: 'Return the Failed Job',
			value: 'returnFailed',
			description: 'The item comes out with its job ID and the status "Failed"',
		},
		{
			name: 'Stop and Name the Job',
			value: 'error',
			description: 'The item fails. The message and its data hold the job ID.',
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
		'How many jobs of this run may be unfinished at one time. Without waiting: how many are sent at one time, up to 20.',
};

const maxJobsPerRun: INodeProperties = {
	displayName: 'Max Jobs per Run',
	name: 'maxJobsPerRun',
	type: 'number',
	typeOptions: { minValue: 0 },
	default: 100,
	description:
		'With more input items than this, nothing is started: a guard against paying for a large table by accident. 0 means no limit.',
};

const dryRun: INodeProperties = {
	displayName: 'Dry Run',
	name: 'dryRun',
	type: 'boolean',
	default: false,
	description:
		'Whether to check everything and return what would be sent, without sending it. Costs nothing.',
};

const resubmitUnclear: INodeProperties = {
	displayName: 'Resubmit When Outcome Is Unknown',
	name: 'resubmitUnclear',
	type: 'boolean',
	default: false,
	description:
		'Whether a retry may send a request again when it is not known if the first one started a job. You may pay twice.',
};

function collection(options: INodeProperties[]): INodeProperties {
	return {
		displayName: 'Options',
		name: 'options',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options,
	};
}

/**
 * What an AI agent's model is told of the node as a tool, until somebody writes another text. n8n
 * would show this parameter by itself, but always with the node's description for people: it heeds
 * `replacements` of `usableAsTool` in the editor only, not in what it tells the model.
 */
export function toolDescription(text: string): INodeProperties {
	return {
		displayName: 'Description',
		name: 'toolDescription',
		type: 'string',
		typeOptions: { rows: 4 },
		default: text,
		required: true,
		displayOptions: { show: asTool },
		description: "What the agent's model is told of this tool. It knows nothing else of it.",
	};
}

/** For nodes that start paid jobs: to wait or not, what comes out, and the options. */
export const jobProperties: INodeProperties[] = [
	{
		displayName: 'Wait for Completion',
		name: 'waitForCompletion',
		type: 'boolean',
		default: true,
		description:
			'Whether to wait until the job is finished and return its images. Otherwise the job ID comes out at once, for the Get Job node.',
	},
	...imageProperties({ waitForCompletion: [true] }),
	collection([
		dryRun,
		maxConcurrentJobs,
		maxJobsPerRun,
		onFailed,
		onTimeout,
		outputItems,
		pollInterval,
		resubmitUnclear,
		timeout,
	]),
];

/** For nodes that look jobs up: the same, but nothing that costs money. */
export const lookUpProperties: INodeProperties[] = [
	{
		displayName: 'Wait for Completion',
		name: 'waitForCompletion',
		type: 'boolean',
		default: false,
		description:
			'Whether to look the job up again and again until it is finished. Otherwise it is looked up once, and comes out as it is.',
	},
	...imageProperties({}),
	collection([
		{ ...onFailed, default: 'returnFailed', displayOptions: {} },
		onTimeout,
		{ ...outputItems, displayOptions: {} },
		pollInterval,
		timeout,
	]),
];

function imageProperties(show: Record<string, boolean[]>): INodeProperties[] {
	return [
		{
			displayName: 'Download Images',
			name: 'downloadImages',
			type: 'boolean',
			default: true,
			displayOptions: { show, hide: asTool },
			description:
				'Whether to put the finished images into the output as files. Otherwise only their addresses come out.',
		},
		{
			displayName: 'Put Output File in Field',
			name: 'binaryPropertyOutput',
			type: 'string',
			default: 'data',
			required: true,
			placeholder: 'e.g. data',
			displayOptions: { show: { ...show, downloadImages: [true] }, hide: asTool },
			hint: 'The name of the output binary field to put the image in',
		},
	];
}
