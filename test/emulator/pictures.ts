import type { ImageFormat } from './jobs';

/** One pixel each. What comes behind their end is no part of the picture. */
const PIXEL: Record<ImageFormat, Buffer> = {
	png: Buffer.from(
		'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==',
		'base64',
	),
	gif: Buffer.from('R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAkQBADs=', 'base64'),
};

/** A valid 1×1 picture with its label behind it, so that no two are alike. */
export function tinyPicture(label: string, format: ImageFormat): Buffer {
	return Buffer.concat([PIXEL[format], Buffer.from(label, 'latin1')]);
}
