import type { Endpoint } from '../shared/endpoint';
import { image } from '../shared/fields';

/** POST /public/v1/image-tune/upscale: an image at a larger size. */
export const upscale: Endpoint = {
	path: '/public/v1/image-tune/upscale',
	name: 'Upscale Image',
	when: { operation: 'upscale' },
	adviceIfFailed: 'Try another image, or one with a higher resolution.',
	fields: [
		image,
		{
			kind: 'choice',
			apiName: 'scale',
			property: {
				displayName: 'Scale',
				name: 'scale',
				type: 'options',
				options: [
					{ name: '1K (1024 Pixels)', value: '1K', description: 'A target size of 1024 pixels' },
					{ name: '2K (2048 Pixels)', value: '2K', description: 'A target size of 2048 pixels' },
					{ name: '4K (4096 Pixels)', value: '4K', description: 'A target size of 4096 pixels' },
				],
				default: '2K',
				description: 'The size to reach. It is a target, not a factor.',
			},
		},
	],
};
