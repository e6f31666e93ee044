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
					{ name: '1K (1024 Pixels)', value: '1K' },
					{ name: '2K (2048 Pixels)', value: '2K' },
					{ name: '4K (4096 Pixels)', value: '4K' },
				],
				default: '2K',
				description:
					'The size of the result in pixels, not a scale factor. AetherForge does not say which side.',
			},
		},
	],
};
