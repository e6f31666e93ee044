import type { FilesField, TextField } from '../shared/endpoint';
import { image } from '../shared/fields';

// What both versions have in common.

export const description: TextField = {
	kind: 'text',
	apiName: 'description',
	property: {
		displayName: 'Effect Description',
		name: 'description',
		type: 'string',
		typeOptions: { rows: 4 },
		default: '',
		required: true,
		placeholder: 'e.g. Blue magic explosion with sparks',
		hint: 'No AetherForge endpoint removes a background',
		description: 'What the effect should look like, in words',
	},
};

export const optionalImage: FilesField = {
	...image,
	source: {
		displayName: 'Image',
		name: 'imageSource',
		type: 'options',
		options: [
			{
				name: 'Binary Field',
				value: 'binary',
				description: 'Send a file of the input item along',
			},
			{
				name: 'None',
				value: 'none',
				description: 'Make the effect from the description alone',
			},
		],
		default: 'none',
		description: 'Which image to send along with the description',
	},
	names: { ...image.names, displayOptions: { show: { imageSource: ['binary'] } } },
	limit: { min: 0, max: 1 },
};
