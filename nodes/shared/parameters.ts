import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { refused } from './errors';

// The parameters and options that nodes share, and how they are read.

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

/**
 * A required text parameter of one item, as it is written.
 * @throws Failure when it is blank, or an expression gives something that is not a text
 */
export function readText(
	context: IExecuteFunctions,
	name: string,
	label: string,
	itemIndex: number,
): string {
	const value: unknown = context.getNodeParameter(name, itemIndex, '');
	if (typeof value === 'number' || typeof value === 'boolean') return String(value);
	if (value === null || value === undefined) throw refused.blankValue(label);
	if (typeof value !== 'string') {
		throw refused.valueOfWrongType(label, Array.isArray(value) ? 'a list' : 'an object');
	}
	if (value.trim() === '') throw refused.blankValue(label);
	return value;
}

/** How one item is to be handled, from the shared parameters and options. */
export interface Settings {
	waits: boolean;
	downloads: boolean;
	/** The output binary field for images. */
	outputField: string;
	outputItems: 'perImage' | 'perJob';
	timeoutMs: number;
	pollIntervalMs: number;
	onTimeout: 'error' | 'returnPending';
	onFailed: 'error' | 'returnFailed';
	maxConcurrentJobs: number;
	/** 0 means no limit. */
	maxJobsPerRun: number;
	dryRun: boolean;
	resubmitUnclear: boolean;
}

/**
 * Whether the node runs as an AI agent's tool. n8n drops binary data there and gives every call a
 * run index of its own.
 */
export function isTool(context: IExecuteFunctions): boolean {
	return context.getNode().type.endsWith('Tool');
}

/**
 * Reads the shared parameters of one item; expressions may differ from item to item. What is not set
 * takes the default of its declaration.
 *
 * @param properties {@link jobProperties} or {@link lookUpProperties}
 * @throws Failure naming the parameter whose expression gives a value it cannot have
 */
export function readSettings(
	context: IExecuteFunctions,
	itemIndex: number,
	properties: readonly INodeProperties[],
): Settings {
	const options = context.getNodeParameter('options', itemIndex, {});
	const collected = properties.find(({ name }) => name === 'options')?.options ?? [];

	const option = (name: string): { value: unknown; property: INodeProperties | undefined } => {
		const property = (collected as INodeProperties[]).find((candidate) => candidate.name === name);
		return { value: options[name] ?? property?.default, property };
	};
	const numberOption = (name: string): number => {
		const { value, property } = option(name);
		const least = property?.typeOptions?.minValue ?? 0;
		const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value);
		if (property && !(number >= least)) {
			throw refused.optionValue(property.displayName, value, `a number of at least ${least}`);
		}
		return number;
	};
	const choiceOption = <T extends string>(name: string, choices: readonly T[]): T => {
		const { value, property } = option(name);
		const choice = choices.find((candidate) => candidate === value);
		if (choice !== undefined) return choice;
		throw refused.optionValue(
			property?.displayName ?? name,
			value,
			choices.map((each) => `"${each}"`).join(' or '),
		);
	};

	const waits = context.getNodeParameter('waitForCompletion', itemIndex) as boolean;
	// n8n has no value for a parameter that is not shown, as without waiting.
	const downloads =
		!isTool(context) && (context.getNodeParameter('downloadImages', itemIndex, false) as boolean);
	const outputField = downloads
		? readText(context, 'binaryPropertyOutput', 'Put Output File in Field', itemIndex).trim()
		: '';

	return {
		waits,
		downloads,
		outputField,
		outputItems: choiceOption('outputItems', ['perImage', 'perJob']),
		timeoutMs: numberOption('timeout') * 1000,
		pollIntervalMs: numberOption('pollInterval') * 1000,
		onTimeout: choiceOption('onTimeout', ['error', 'returnPending']),
		onFailed: choiceOption('onFailed', ['error', 'returnFailed']),
		maxConcurrentJobs: numberOption('maxConcurrentJobs'),
		maxJobsPerRun: numberOption('maxJobsPerRun'),
		dryRun: option('dryRun').value === true,
		resubmitUnclear: option('resubmitUnclear').value === true,
	};
}
