import type { Endpoint } from '../shared/endpoint';
import { frames, quality } from '../shared/fields';
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
				hint: 'Expect a white background, even if you ask for another color',
			},
		},
		quality,
		frames([4, 9, 16], 16),
		optionalImage,
	],
};
