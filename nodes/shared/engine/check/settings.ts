import type { INodeProperties } from 'n8n-workflow';

import { choicesOf } from '../../endpoint';
import { inputFailures } from '../../messages';
import { jobProperties, lookupProperties } from '../../properties';
import { safeFileName } from '../files/fileType';
import {
	asBoolean,
	asChoice,
	asJson,
	asNumber,
	asText,
	isBlank,
	isInexact,
	isLeftover,
	type ParameterReader,
} from './parameters';

/** How a job is waited for and what becomes of its files. */
export interface OutputSettings {
	waitForCompletion: boolean;
	downloadImages: boolean;
	/** The output binary field for images. */
	outputField: string;
	outputItems: 'perImage' | 'perJob';
	timeoutMs: number;
	onTimeout: 'error' | 'returnPending';
	onFailed: 'error' | 'returnFailed';
	includeInputFields: boolean;
	/** The name of output files without extension; empty: made of the job's ID. */
	fileName: string;
}

/** The settings of an item that starts a paid job. */
export interface JobSettings extends OutputSettings {
	maxConcurrentJobs: number;
	/** 0 means no limit. */
	maxJobsPerExecution: number;
	dryRun: boolean;
	resubmitIfUnknown: boolean;
	/** How many jobs each item starts. */
	jobsPerItem: number;
	/** Form fields that are sent beside the endpoint's own. */
	additionalFields: AdditionalFields;
}

/** Values of further form fields, by their names in the API. */
export type AdditionalFields = Readonly<Record<string, string | number | boolean>>;

const FORM_FIELD_NAME = /^[\w.-]{1,64}$/;

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
		const { minValue: min = 0, maxValue: max = Infinity } = typeOptions ?? {};
		return asNumber(value, displayName, { min, max, isWhole });
	}

	boolean(name: string): boolean {
		const { value, displayName } = this.#find(name);
		return asBoolean(value, displayName);
	}

	/** One of the choices that the property lists. */
	choice(name: string): unknown {
		const { value, ...property } = this.#find(name);
		return asChoice(value, property.displayName, choicesOf(property));
	}

	/** Text that may be empty, also where its expression gives nothing for an item. */
	text(name: string): string {
		const { value, displayName } = this.#find(name);
		return isBlank(value) ? '' : asText(value, displayName);
	}

	/** An object as JSON or by expression; empty text stands for none. */
	formFields(name: string): AdditionalFields {
		const { value, displayName } = this.#find(name);
		if (typeof value === 'string' && isBlank(value)) return {};
		const fields = asJson(value, displayName, 'a JSON object');
		// A Map or a date would be taken for an object without fields.
		const isObject = Object.prototype.toString.call(fields) === '[object Object]';
		if (typeof fields !== 'object' || fields === null || !isObject) {
			throw inputFailures.noObject(displayName);
		}
		const entries = Object.entries(fields) as [string, unknown][];
		return Object.fromEntries(
			entries.map(([field, given]): [string, string | number | boolean] => {
				if (!FORM_FIELD_NAME.test(field)) throw inputFailures.formFieldName(displayName, field);
				const subject = `"${field}" in "${displayName}"`;
				if (typeof given === 'string') {
					if (isLeftover(given)) throw inputFailures.leftover(subject, given.trim());
					return [field, given];
				}
				if (typeof given === 'boolean') return [field, given];
				if (typeof given === 'number' && Number.isFinite(given)) {
					// JSON with more digits was read as the nearest number that JavaScript has.
					if (isInexact(given)) throw inputFailures.inexactNumber(subject, given);
					return [field, given];
				}
				throw inputFailures.formFieldValue(displayName, field, given);
			}),
		);
	}

	/** A value that is there counts, even if it is undefined: its expression gave nothing. */
	#find(name: string): INodeProperties & { value: unknown } {
		const property = this.#declared.find((candidate) => candidate.name === name);
		if (!property) throw new TypeError(`no option ${name}`);
		const given: unknown = Reflect.get(this.#given, name);
		return { ...property, value: Object.hasOwn(this.#given, name) ? given : property.default };
	}
}

/** Files get the ending of what they are, whatever the name says. */
const IMAGE_ENDING = /\.(avif|bmp|gif|hei[cf]|jpe?g|png|tiff?|webp)\s*$/i;

/** A title such as "AC/DC" is no path, and Windows takes none of these in a name. */
function outputName(given: string): string {
	return safeFileName(given.replace(/[/\\:*?"<>|]+/g, '-').replace(IMAGE_ENDING, ''));
}

function readOutputSettings(
	reader: ParameterReader,
	itemIndex: number,
	isTool: boolean,
	properties: readonly INodeProperties[],
	options: Options,
): OutputSettings {
	const labelOf = (name: string) =>
		properties.find((property) => property.name === name)?.displayName ?? name;
	const isOn = (name: string, hidden?: boolean) =>
		asBoolean(reader.read(name, itemIndex, hidden), labelOf(name));
	const [field, waitForCompletion] = ['binaryPropertyOutput', isOn('waitForCompletion')];
	// n8n has no value for a parameter that it does not show, as without waiting.
	const downloadImages = !isTool && isOn('downloadImages', false);
	return {
		waitForCompletion,
		downloadImages,
		outputField: downloadImages
			? asText(reader.read(field, itemIndex, ''), labelOf(field)).trim()
			: '',
		outputItems: options.choice('outputItems') as OutputSettings['outputItems'],
		timeoutMs: options.number('timeout') * 1000,
		onTimeout: options.choice('onTimeout') as OutputSettings['onTimeout'],
		onFailed: options.choice('onFailed') as OutputSettings['onFailed'],
		includeInputFields: options.boolean('includeInputFields'),
		fileName: outputName(options.text('fileName')),
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
		jobsPerItem: options.number('jobsPerItem', true),
		additionalFields: options.formFields('additionalFields'),
		...readOutputSettings(reader, itemIndex, isTool, jobProperties, options),
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
	return readOutputSettings(reader, itemIndex, isTool, lookupProperties, options);
}
