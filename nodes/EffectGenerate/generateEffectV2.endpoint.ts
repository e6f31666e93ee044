import type { Endpoint } from '../shared/endpoint';
import { quality } from '../shared/fields';
import { description, optionalImage } from './fields';

/** POST /public/v1/generate/effect/v2: an effect as the frames of a sheet. */
export const generateEffectV2: Endpoint = {
	path: '/public/v1/generate/effect/v2',
	name: 'Effect (V2)',
	when: { apiVersion: 'v2' },
	adviceIfFailed: 'Try another description or image.',
	fields: [
		{
			...description,
			property: {
				...description.property,
				hint: 'Expect a white background, even if you ask for another color. No AetherForge endpoint removes a background.',
			},
		},
		quality,
		{
			kind: 'choice',
			apiName: 'frame',
			property: {
				displayName: 'Frames',
				name: 'frame',
				type: 'options',
				options: [
					{ name: '4', value: 4, description: 'A grid of 2 × 2 frames' },
					{ name: '9', value: 9, description: 'A grid of 3 × 3 frames' },
					{ name: '16', value: 16, description: 'A grid of 4 × 4 frames' },
				],
				default: 16,
				description: 'The number of frames in the sheet. For example, 16 frames make a 4 × 4 grid.',
			},
		},
		optionalImage,
	],
};
