import type { Endpoint } from '../shared/endpoint';
import { image, resolution } from '../shared/fields';
import { reskinDescription, style } from './fields';

/** POST /public/v1/sprite/reskin/v1: the same sprite with another look, at a resolution. */
export const reskinV1: Endpoint = {
	path: '/public/v1/sprite/reskin/v1',
	name: 'Reskin Sprite Sheet (V1)',
	when: { operation: 'reskin', apiVersion: 'v1' },
	adviceIfFailed: 'Try another description, style, or image.',
	fields: [image, reskinDescription, resolution, style],
};
