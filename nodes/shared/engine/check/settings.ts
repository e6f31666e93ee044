import type { INodeProperties } from 'n8n-workflow';

import { choicesOf } from '../../endpoint';
import { inputFailures } from '../../messages';
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

/** How a job is waited for, and what is done with its files. */
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
	/** Form fields that are sent besides the endpoint's own. */
	additionalFields: AdditionalFields;
}

/** Values of further form fields, by their names in the API. */
export type AdditionalFields = Readonly<Record<string, string | number | boolean>>;

const FORM_FIELD_NAME = /^[\w.-]{1,64}$/;

/** The settings of one item: what the user has entered, and the defaults of the rest. */
class Settings {
	readonly #reader: ParameterReader;
	readonly #itemIndex: number;
	readonly #options: object;

	constructor(reader: ParameterReader, itemIndex: number) {
		const options = reader.read('options', itemIndex, {});
		if (typeof options !== 'object' || options === null || Array.isArray(options)) {
			throw inputFailures.wrongValue('"Options"', 'an object', options);
		}
		this.#reader = reader;
		this.#itemIndex = itemIndex;
		this.#options = options;
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

	/** Text that may be empty unless it is required, also where its expression gives nothing for an item. */
	text(name: string): string {
		const { value, displayName, required = false } = this.#find(name);
		return isBlank(value) && !required ? '' : asText(value, displayName);
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
				throw inputFailures.wrongValue(subject, 'text, a number, true, or false', given);
			}),
		);
	}

	/**
	 * A parameter of the node, or an option. A value that is there counts, even if it is undefined: its
	 * expression gave nothing. Where n8n does not show the parameter, there is none.
	 */
	#find(name: string): INodeProperties & { value: unknown } {
		const { properties } = this.#reader;
		const ofNode = properties.find((each) => each.name === name);
		if (ofNode) {
			const value = this.#reader.read(name, this.#itemIndex, ofNode.default);
			return { ...ofNode, value };
		}
		const options = properties.find((each) => each.name === 'options')?.options ?? [];
		const option = (options as INodeProperties[]).find((each) => each.name === name);
		if (!option) throw new TypeError(`no parameter ${name}`);
		const isGiven = Object.hasOwn(this.#options, name);
		const given: unknown = Reflect.get(this.#options, name);
		return { ...option, value: isGiven ? given : option.default };
	}
}

/** Files get the extension of what they are, not of what the name says. */
const IMAGE_ENDING = /\.(avif|bmp|gif|hei[cf]|jpe?g|png|tiff?|webp)\s*$/i;

/** A title such as "AC/DC" is no path, and Windows takes none of these in a name. */
function outputName(given: string): string {
	return safeFileName(given.replace(/[/\\:*?"<>|]+/g, '-').replace(IMAGE_ENDING, ''));
}

function readOutputSettings(settings: Settings, isTool: boolean): OutputSettings {
	const waitForCompletion = settings.boolean('waitForCompletion');
	const downloadImages = !isTool && settings.boolean('downloadImages');
	return {
		waitForCompletion,
		downloadImages,
		outputField: downloadImages ? settings.text('binaryPropertyOutput').trim() : '',
		// A model passes on one image at a time.
		outputItems: isTool
			? 'perImage'
			: (settings.choice('outputItems') as OutputSettings['outputItems']),
		timeoutMs: settings.number('timeout') * 1000,
		onTimeout: settings.choice('onTimeout') as OutputSettings['onTimeout'],
		onFailed: settings.choice('onFailed') as OutputSettings['onFailed'],
		includeInputFields: settings.boolean('includeInputFields'),
		fileName: downloadImages ? outputName(settings.text('fileName')) : '',
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
	const settings = new Settings(reader, itemIndex);
	return {
		dryRun: settings.boolean('dryRun'),
		maxJobsPerExecution: settings.number('maxJobsPerExecution', true),
		maxConcurrentJobs: settings.number('maxConcurrentJobs', true),
		resubmitIfUnknown: settings.boolean('resubmitIfUnknown'),
		jobsPerItem: settings.number('jobsPerItem', true),
		additionalFields: settings.formFields('additionalFields'),
		...readOutputSettings(settings, isTool),
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
	return readOutputSettings(new Settings(reader, itemIndex), isTool);
}
