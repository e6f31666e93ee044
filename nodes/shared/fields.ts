import type { ChoiceField, FilesField } from './endpoint';

// The fields that endpoints of several nodes share. An endpoint that needs another default or hint
// spreads the field and says so.

/** The one image that an endpoint cannot do without. */
export const image: FilesField = {
	kind: 'files',
	apiName: 'image',
	noun: { one: 'image', many: 'images' },
	names: {
		displayName: 'Input Data Field Name',
		name: 'imageField',
		type: 'string',
		default: 'data',
		required: true,
		placeholder: 'e.g. data',
		hint: 'The name of the input binary field that holds the image',
		description: 'The names are listed in the Binary tab of the input panel',
	},
	limit: { min: 1, max: 1 },
};

/** A target size. */
export const resolution: ChoiceField = {
	kind: 'choice',
	apiName: 'resolution',
	property: {
		displayName: 'Resolution',
		name: 'resolution',
		type: 'options',
		options: [
			{ name: '1K', value: '1K', description: 'The smallest size' },
			{ name: '2K', value: '2K', description: 'The medium size' },
			{ name: '4K', value: '4K', description: 'The largest size' },
		],
		default: '2K',
		description: 'The size of the result',
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
			{ name: 'Standard', value: 'standard', description: 'The regular quality' },
			{ name: 'Pro', value: 'pro', description: 'The higher quality' },
		],
		default: 'standard',
		description: 'The quality of the result',
	},
};
