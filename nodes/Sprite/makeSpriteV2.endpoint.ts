import type { Endpoint } from '../shared/endpoint';
import { frames, imageInput } from '../shared/fields';
import { isPixel, motion } from './fields';

/** POST /public/v1/sprite/make-sprite/v2: an animated sprite from a first and, maybe, a last frame. */
export const makeSpriteV2: Endpoint = {
	path: '/public/v1/sprite/make-sprite/v2',
	name: 'Make Sprite (V2)',
	when: { operation: 'make', apiVersion: 'v2' },
	adviceIfFailed:
		'Try another image or describe another motion. V2 may confuse chibi characters with children: use V1 for those.',
	fields: [
		imageInput({
			apiName: 'start_frame_image',
			name: 'startFrameImage',
			label: 'Start Frame',
			noun: { one: 'start frame', many: 'start frames' },
			hint: 'The image should show one character on a plain background, with a margin around it',
		}),
		imageInput({
			apiName: 'end_frame_image',
			name: 'endFrameImage',
			label: 'End Frame',
			noun: { one: 'end frame', many: 'end frames' },
			withoutIt: 'Leave the last frame to AetherForge',
			// The default of the others is the start frame.
			field: '',
		}),
		motion,
		frames([49, 81, 121], 49),
		isPixel,
	],
};
