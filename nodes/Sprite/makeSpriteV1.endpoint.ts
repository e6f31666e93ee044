import type { Endpoint } from '../shared/endpoint';
import { imageInput } from '../shared/fields';
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
			hint: 'The image should show one character on a plain background, with a margin around it. No AetherForge endpoint removes a background.',
		}),
		motion,
		{
			kind: 'choice',
			apiName: 'frame',
			property: {
				displayName: 'Frames',
				name: 'frame',
				type: 'options',
				options: [
					{ name: '25', value: 25, description: 'A grid of 5 × 5 frames' },
					{ name: '36', value: 36, description: 'A grid of 6 × 6 frames' },
					{ name: '49', value: 49, description: 'A grid of 7 × 7 frames' },
					{ name: '64', value: 64, description: 'A grid of 8 × 8 frames' },
					{ name: '81', value: 81, description: 'A grid of 9 × 9 frames' },
					{ name: '100', value: 100, description: 'A grid of 10 × 10 frames' },
					{ name: '121', value: 121, description: 'A grid of 11 × 11 frames' },
					{ name: '144', value: 144, description: 'A grid of 12 × 12 frames' },
					{ name: '169', value: 169, description: 'A grid of 13 × 13 frames' },
				],
				default: 25,
				description: 'The number of frames in the sheet. For example, 25 frames make a 5 × 5 grid.',
			},
		},
		isPixel,
	],
};
