import type { Endpoint } from '../shared/endpoint';
import { imageInput } from '../shared/fields';
import { isPixel, motion } from './fields';

/** POST /public/v1/sprite/make-sprite/v2: an animated sprite from a first and, maybe, a last frame. */
export const makeSpriteV2: Endpoint = {
	path: '/public/v1/sprite/make-sprite/v2',
	name: 'Make Sprite (V2)',
	when: { operation: 'make', apiVersion: 'v2' },
	adviceIfFailed:
		'Try another image or describe another motion. For chibi characters, which V2 may take for children, try V1.',
	fields: [
		imageInput({
			apiName: 'start_frame_image',
			name: 'startFrameImage',
			label: 'Start Frame',
			noun: { one: 'start frame', many: 'start frames' },
			hint: 'The image should show one character on a plain background, with a margin around it. V2 may take chibi characters for children, and then the job fails. No AetherForge endpoint removes a background.',
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
		{
			kind: 'choice',
			apiName: 'frame',
			property: {
				displayName: 'Frames',
				name: 'frame',
				type: 'options',
				options: [
					{ name: '49', value: 49, description: 'A grid of 7 × 7 frames' },
					{ name: '81', value: 81, description: 'A grid of 9 × 9 frames' },
					{ name: '121', value: 121, description: 'A grid of 11 × 11 frames' },
				],
				default: 49,
				description: 'The number of frames in the sheet. For example, 49 frames make a 7 × 7 grid.',
			},
		},
		isPixel,
	],
};
