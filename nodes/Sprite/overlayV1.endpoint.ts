import type { Endpoint } from '../shared/endpoint';
import { resolution } from '../shared/fields';
import { characterImages, rows, spriteSheet, style } from './fields';

/** POST /public/v1/sprite/character-overlay/v1: a sprite sheet with other characters, at a resolution. */
export const overlayV1: Endpoint = {
	path: '/public/v1/sprite/character-overlay/v1',
	name: 'Overlay Characters (V1)',
	when: { operation: 'characterOverlay', apiVersion: 'v1' },
	adviceIfFailed: 'Try other character images, rows, or another style.',
	fields: [spriteSheet, characterImages, rows, resolution, style],
};
