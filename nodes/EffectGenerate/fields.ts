import type { TextField } from '../shared/endpoint';
import { imageInput } from '../shared/fields';

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
		description: 'What the effect should look like, in words',
	},
};

export const optionalImage = imageInput({
	apiName: 'image',
	name: 'image',
	label: 'Image',
	noun: { one: 'image', many: 'images' },
	withoutIt: 'Make the effect from the description alone',
});
