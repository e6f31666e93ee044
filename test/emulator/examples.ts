import { tinyPicture } from './pictures';
import type { Sending } from './client';

const PICTURE = tinyPicture('example', 'png');

const ROWS = [
	{ row: 1, title: 'Idle', description: 'Character standing still' },
	{ row: 2, title: 'Walk', description: 'Character walking to the right' },
];

/** For each paid endpoint a form that it takes, with the required fields alone. */
export const EXAMPLES: Readonly<Record<string, Required<Sending>>> = {
	'/public/v1/generate/image': {
		fields: { prompt: 'A lighthouse', ai_model: 'GPT Image 1.5' },
		files: {},
	},
	'/public/v1/generate/effect/v1': {
		fields: { description: 'A fire burst', resolution: '1K' },
		files: {},
	},
	'/public/v1/generate/effect/v2': {
		fields: { description: 'A fire burst', quality: 'standard', frame: '16' },
		files: {},
	},
	'/public/v1/image-tune/upscale': {
		fields: { scale: '2K' },
		files: { image: [PICTURE] },
	},
	'/public/v1/image-tune/inpaint/v2': {
		fields: { prompt: 'Add a balloon', quality: 'pro' },
		files: { image: [PICTURE] },
	},
	'/public/v1/image-tune/split-layer': {
		fields: { keyword: 'arm' },
		files: { image: [PICTURE] },
	},
	'/public/v1/sprite/make-sprite/v1': {
		fields: { text: 'walking animation', frame: '25', is_pixel: 'false' },
		files: { image: [PICTURE] },
	},
	'/public/v1/sprite/make-sprite/v2': {
		fields: { text: 'walking animation', frame: '49', is_pixel: 'false' },
		files: { start_frame_image: [PICTURE] },
	},
	'/public/v1/sprite/reskin/v1': {
		fields: { description: 'In winter clothes', resolution: '1K' },
		files: { image: [PICTURE] },
	},
	'/public/v1/sprite/reskin/v2': {
		fields: { description: 'In winter clothes', quality: 'standard' },
		files: { image: [PICTURE] },
	},
	'/public/v1/sprite/character-overlay/v1': {
		fields: { rows: JSON.stringify(ROWS), resolution: '1K' },
		files: { sprite_sheet: [PICTURE], character_images: [PICTURE] },
	},
	'/public/v1/sprite/character-overlay/v2': {
		fields: { rows: JSON.stringify(ROWS), quality: 'standard' },
		files: { sprite_sheet: [PICTURE], character_images: [PICTURE] },
	},
};
