import type { Endpoint } from '../shared/endpoint';
import { image } from '../shared/fields';

/** POST /public/v1/image-tune/split-layer: the parts of an image as separate images. */
export const splitLayers: Endpoint = {
	path: '/public/v1/image-tune/split-layer',
	name: 'Split Image',
	when: { operation: 'splitLayers' },
	adviceIfFailed: 'Try another keyword or image.',
	fields: [
		image,
		{
			kind: 'text',
			apiName: 'keyword',
			property: {
				displayName: 'Keyword',
				name: 'keyword',
				type: 'string',
				default: '',
				required: true,
				placeholder: 'e.g. arm',
				hint: 'One keyword only, such as arm, body, leg, or character',
				description:
					'What to split off. The job returns several images, and AetherForge does not name the layers.',
			},
		},
	],
};
