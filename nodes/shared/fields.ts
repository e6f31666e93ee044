import type { INodeProperties } from 'n8n-workflow';

import type { ChoiceField, FilesField } from './endpoint';

// The fields that endpoints of several nodes share. An endpoint that needs another default or hint
// spreads the field and says so.

/** What makes one input image different from another. */
interface ImageInput {
	apiName: string;
	/** How its three parameters' names begin. */
	name: string;
	/** How their labels begin: "End Frame" for instance. */
	label: string;
	noun: { one: string; many: string };
	/** What people should know before they pay. */
	hint?: string;
	/** What the API does without it. An image that is not optional has no such text. */
	withoutIt?: string;
	/** The binary field that people usually have it in; empty where a default would pay for the wrong one. */
	field?: string;
}

/** One input image: where it comes from, its binary field, its URL. */
export function imageInput({
	apiName,
	name,
	label,
	noun,
	hint,
	withoutIt,
	field = 'data',
}: ImageInput): FilesField {
	const sourceName = `${name}Source`;
	const isOptional = withoutIt !== undefined;
	const source: INodeProperties = {
		displayName: `${label} Source`,
		name: sourceName,
		type: 'options',
		options: [
			{ name: 'Binary File', value: 'binary', description: 'Send a file of the input item' },
			{ name: 'URL', value: 'url', description: 'Fetch the image from a URL and send it' },
		],
		default: 'binary',
		...(hint === undefined ? {} : { hint }),
		description: `Where the ${noun.one} comes from`,
	};
	const none = { name: 'None', value: 'none', description: withoutIt ?? '' };
	return {
		kind: 'files',
		apiName,
		noun,
		source: isOptional
			? { ...source, options: [none, ...(source.options ?? [])], default: 'none' }
			: source,
		names: {
			displayName: `${label} Field Name`,
			name: `${name}Field`,
			type: 'string',
			// What is dragged in replaces the name instead of following it.
			requiresDataPath: 'single',
			default: field,
			required: true,
			placeholder: `e.g. ${field || 'data_1'}`,
			displayOptions: { show: { [sourceName]: ['binary'] } },
			hint: `The name of the input binary field that holds the ${noun.one}`,
			description:
				'The names are listed in the Binary tab of the input panel. An expression may also give the file itself, such as {{ $binary.data }}.',
		},
		urls: {
			displayName: `${label} URL`,
			name: `${name}Url`,
			type: 'string',
			default: '',
			required: !isOptional,
			placeholder: 'e.g. https://example.com/image.png',
			displayOptions: { show: { [sourceName]: ['url'] } },
			description: `The URL of the ${noun.one}. It is fetched without your API key, before the job is charged.`,
			builderHint: { propertyHint: 'May be the image_url of an earlier AetherForge node' },
		},
		limit: { min: isOptional ? 0 : 1, max: 1 },
	};
}

/** The one image that an endpoint cannot do without. */
export const image = imageInput({
	apiName: 'image',
	name: 'image',
	label: 'Image',
	noun: { one: 'image', many: 'images' },
});

/** A target size. */
export const resolution: ChoiceField = {
	kind: 'choice',
	apiName: 'resolution',
	property: {
		displayName: 'Resolution',
		name: 'resolution',
		type: 'options',
		options: [
			{ name: '1K', value: '1K' },
			{ name: '2K', value: '2K' },
			{ name: '4K', value: '4K' },
		],
		default: '2K',
		description: 'The size of the result, from 1K, the smallest, to 4K, the largest',
	},
};

export const quality: ChoiceField = {
	kind: 'choice',
	apiName: 'quality',
	property: {
		displayName: 'Quality',
		name: 'quality',
		type: 'options',
		options: [
			{ name: 'Standard', value: 'standard' },
			{ name: 'Pro', value: 'pro' },
		],
		default: 'standard',
		description: 'The quality of the result. Pro is the higher one.',
	},
};

/** How many frames a sheet has, which are as many in a row as in a column. */
export function frames(counts: readonly number[], preset: number): ChoiceField {
	return {
		kind: 'choice',
		apiName: 'frame',
		property: {
			displayName: 'Frames',
			name: 'frame',
			type: 'options',
			options: counts.map((value) => {
				const side = Math.sqrt(value);
				return { name: `${value} (${side} × ${side})`, value };
			}),
			default: preset,
			description: 'The number of frames in the sheet, and their grid',
		},
	};
}
