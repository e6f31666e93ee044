import type { Endpoint } from '../shared/endpoint';
import { image, quality } from '../shared/fields';
import { reskinDescription, style } from './fields';

/** POST /public/v1/sprite/reskin/v2: the same sprite with another look, in a quality. */
export const reskinV2: Endpoint = {
	path: '/public/v1/sprite/reskin/v2',
	name: 'Reskin Sprite Sheet (V2)',
	when: { operation: 'reskin', apiVersion: 'v2' },
	adviceIfFailed: 'Try another description, style, or image.',
	fields: [image, reskinDescription, quality, style],
};
