import type { Endpoint } from '../shared/endpoint';
import { resolution } from '../shared/fields';
import { description, optionalImage } from './fields';

/** POST /public/v1/generate/effect/v1: an effect at a resolution. */
export const generateEffectV1: Endpoint = {
	path: '/public/v1/generate/effect/v1',
	name: 'Effect (V1)',
	when: { apiVersion: 'v1' },
	adviceIfFailed: 'Try another description or image.',
	fields: [
		description,
		{ ...resolution, property: { ...resolution.property, default: '1K' } },
		optionalImage,
	],
};
