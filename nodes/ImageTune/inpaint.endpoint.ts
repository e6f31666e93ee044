import type { Endpoint } from '../shared/endpoint';
import { image, quality } from '../shared/fields';

/** POST /public/v1/image-tune/inpaint/v2: an image with a part of it changed. */
export const inpaint: Endpoint = {
	path: '/public/v1/image-tune/inpaint/v2',
	name: 'Inpaint Image',
	when: { operation: 'inpaint' },
	adviceIfFailed: 'Try another prompt or image.',
	fields: [
		image,
		{
			kind: 'text',
			apiName: 'prompt',
			property: {
				displayName: 'Prompt',
				name: 'prompt',
				type: 'string',
				typeOptions: { rows: 4 },
				default: '',
				required: true,
				placeholder: 'e.g. Remove the lantern in her left hand',
				hint: 'There is no mask: say where in words. It cannot remove a background.',
				description: 'What to add, change, or remove, and where in the image',
			},
		},
		quality,
	],
};
