import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { inputFailures } from '../messages';
import { jobProperties, lookupProperties } from '../properties';
import { asBoolean, asChoice, asNumber, asText, type ParameterReader } from './parameters';

/** How a job is waited for and what becomes of its files. */
export interface OutputSettings {
	waitForCompletion: boolean;
	downloadImages: boolean;
	/** The output binary field for images. */
	outputField: string;
	outputItems: 'perImage' | 'perJob';
	timeoutMs: number;
	pollIntervalMs: number;
	onTimeout: 'error' | 'returnPending';
	onFailed: 'error' | 'returnFailed';
}

/** The settings of an item that starts a paid job. */
export interface JobSettings extends OutputSettings {
	maxConcurrentJobs: number;
	/** 0 means no limit. */
	maxJobsPerExecution: number;
	dryRun: boolean;
	resubmitIfUnknown: boolean;
}

/**
 * Whether the node runs as an AI agent's tool. n8n drops binary data there and gives every call a
 * run index of its own. Its own `isToolExecution` is false for tools of the newest agents.
 */
export function isTool(context: IExecuteFunctions): boolean {
	return context.getNode().type.endsWith('Tool');
}

/** The options of one item: what the user has added, and the defaults of the rest. */
class Options {
	readonly #given: object;
	readonly #declared: readonly INodeProperties[];

	constructor(given: unknown, properties: readonly INodeProperties[]) {
		if (typeof given !== 'object' || given === null || Array.isArray(given)) {
			throw inputFailures.optionValue('Options', given, 'an object');
		}
		this.#given = given;
		const collection = properties.find(({ name }) => name === 'options');
		this.#declared = (collection?.options ?? []) as INodeProperties[];
	}

	number(name: string, isWhole = false): number {
		const { value, displayName, typeOptions } = this.#find(name);
		return asNumber(value, displayName, { min: typeOptions?.minValue ?? 0, isWhole });
	}

	boolean(name: string): boolean {
		const { value, displayName } = this.#find(name);
		return asBoolean(value, displayName);
	}

	choice<T extends string>(name: string, choices: readonly T[]): T {
		const { value, displayName } = this.#find(name);
		return asChoice(value, displayName, choices);
	}

	/** A value that is there counts, even if it is undefined: its expression gave nothing. */
	#find(name: string): INodeProperties & { value: unknown } {
		const property = this.#declared.find((candidate) => candidate.name === name);
		if (!property) throw new TypeError(`no option ${name}`);
		const given: unknown = Reflect.get(this.#given, name);
		return { ...property, value: Object.hasOwn(this.#given, name) ? given : property.default };
	}
}

function readOutputSettings(
	reader: ParameterReader,
	itemIndex: number,
	isTool: boolean,
	options: Options,
): OutputSettings {
	// n8n has no value for a parameter that it does not show, as without waiting.
	const downloadImages =
		!isTool && asBoolean(reader.read('downloadImages', itemIndex, false), 'Download Images');
	return {
		waitForCompletion: asBoolean(
			reader.read('waitForCompletion', itemIndex),
			'Wait for Completion',
		),
		downloadImages,
		outputField: downloadImages
			? asText(
					reader.read('binaryPropertyOutput', itemIndex, ''),
					'Put Output File in Field',
				).trim()
			: '',
		outputItems: options.choice('outputItems', ['perImage', 'perJob']),
		timeoutMs: options.number('timeout') * 1000,
		pollIntervalMs: options.number('pollInterval') * 1000,
		onTimeout: options.choice('onTimeout', ['error', 'returnPending']),
		onFailed: options.choice('onFailed', ['error', 'returnFailed']),
	};
}

/**
 * The settings of one item of a node that starts paid jobs; expressions may differ from item to item.
 * @throws Failure naming the parameter with a value it cannot have
 */
export function readJobSettings(
	reader: ParameterReader,
	itemIndex: number,
	isTool: boolean,
): JobSettings {
	const options = new Options(reader.read('options', itemIndex, {}), jobProperties);
	return {
		dryRun: options.boolean('dryRun'),
		maxJobsPerExecution: options.number('maxJobsPerExecution', true),
		maxConcurrentJobs: options.number('maxConcurrentJobs', true),
		resubmitIfUnknown: options.boolean('resubmitIfUnknown'),
		...readOutputSettings(reader, itemIndex, isTool, options),
	};
}

/**
 * The same for a node that only looks jobs up.
 * @throws Failure naming the parameter with a value it cannot have
 */
export function readLookupSettings(
	reader: ParameterReader,
	itemIndex: number,
	isTool: boolean,
): OutputSettings {
	const options = new Options(reader.read('options', itemIndex, {}), lookupProperties);
	return readOutputSettings(reader, itemIndex, isTool, options);
}
