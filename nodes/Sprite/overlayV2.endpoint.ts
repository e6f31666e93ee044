import type { Endpoint } from '../shared/endpoint';
import { quality } from '../shared/fields';
import { characterImages, rows, spriteSheet, style } from './fields';

/** POST /public/v1/sprite/character-overlay/v2: a sprite sheet with other characters, in a quality. */
export const overlayV2: Endpoint = {
	path: '/public/v1/sprite/character-overlay/v2',
	name: 'Overlay Characters (V2)',
	when: { operation: 'characterOverlay', apiVersion: 'v2' },
	adviceIfFailed: 'Try other character images, rows, or another style.',
	fields: [spriteSheet, characterImages, rows, quality, style],
};
