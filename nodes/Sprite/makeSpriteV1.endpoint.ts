import type { Endpoint } from '../shared/endpoint';
import { frames, imageInput } from '../shared/fields';
import { isPixel, motion } from './fields';

/** POST /public/v1/sprite/make-sprite/v1: an animated sprite from one image. */
export const makeSpriteV1: Endpoint = {
	path: '/public/v1/sprite/make-sprite/v1',
	name: 'Make Sprite (V1)',
	when: { operation: 'make', apiVersion: 'v1' },
	adviceIfFailed: 'Try another image, or one with a higher resolution, or describe another motion.',
	fields: [
		imageInput({
			apiName: 'image',
			name: 'image',
			label: 'Image',
			noun: { one: 'image', many: 'images' },
			hint: 'The image should show one character on a plain background, with a margin around it',
		}),
		motion,
		frames([25, 36, 49, 64, 81, 100, 121, 144, 169], 25),
		isPixel,
	],
};
