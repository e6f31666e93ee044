import type { Endpoint } from '../shared/endpoint';
import { isPixel, motion } from './fields';

/** POST /public/v1/sprite/make-sprite/v2: an animated sprite from a first and, maybe, a last frame. */
export const makeSpriteV2: Endpoint = {
	path: '/public/v1/sprite/make-sprite/v2',
	when: { operation: 'make', apiVersion: 'v2' },
	adviceIfFailed:
		'Try another image or describe another motion. For chibi characters, which V2 may take for children, try V1.',
	fields: [
		{
			kind: 'files',
			apiName: 'start_frame_image',
			noun: { one: 'start frame', many: 'start frames' },
			names: {
				displayName: 'Start Frame Field Name',
				name: 'startFrameImageField',
				type: 'string',
				default: 'data',
				required: true,
				placeholder: 'e.g. data',
				hint: 'The image should show one character on a plain background, with a margin around it. V2 may take chibi characters for children, and then the job fails. No AetherForge endpoint removes a background.',
				description: 'The name of the input binary field that holds the first frame',
			},
			limit: { min: 1, max: 1 },
		},
		{
			kind: 'files',
			apiName: 'end_frame_image',
			noun: { one: 'end frame', many: 'end frames' },
			source: {
				displayName: 'End Frame',
				name: 'endFrameImageSource',
				type: 'options',
				options: [
					{
						name: 'Binary Field',
						value: 'binary',
						description: 'Send a file of the input item as the last frame',
					},
					{ name: 'None', value: 'none', description: 'Leave the last frame to AetherForge' },
				],
				default: 'none',
				description: 'How the animation should end',
			},
			names: {
				displayName: 'End Frame Field Name',
				name: 'endFrameImageField',
				type: 'string',
				default: 'data',
				required: true,
				placeholder: 'e.g. endFrame',
				displayOptions: { show: { endFrameImageSource: ['binary'] } },
				hint: 'The name of the input binary field that holds the last frame',
				description: 'The names are listed in the Binary tab of the input panel',
			},
			limit: { min: 0, max: 1 },
		},
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
