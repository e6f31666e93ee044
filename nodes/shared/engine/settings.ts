import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { refused } from '../messages';

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
