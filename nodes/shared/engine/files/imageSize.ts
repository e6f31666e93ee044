import { imageTypeOf } from './fileType';

/** What an image's first bytes say of it, in the names of output items. */
export interface ImageFacts {
	mime_type?: string;
	/** In pixels. */
	width?: number;
	height?: number;
}

/** The chunk that a PNG begins with, except for one that only Apple reads. */
const IHDR = 0x49484452;

type Size = readonly [width: number, height: number];

/** Each reads the size from a file of its type, and may read beyond the end of its start. */
const SIZE_IN: Readonly<Record<string, (head: DataView) => Size | undefined>> = {
	'image/png': (head) =>
		head.getUint32(12) === IHDR ? [head.getUint32(16), head.getUint32(20)] : undefined,
	'image/gif': (head) => [head.getUint16(6, true), head.getUint16(8, true)],
	'image/bmp': (head) =>
		head.getUint32(14, true) === 12
			? [head.getUint16(18, true), head.getUint16(20, true)]
			: // A negative height means that the top row comes first.
				[head.getInt32(18, true), Math.abs(head.getInt32(22, true))],
	'image/webp': (head) => {
		switch (head.getUint8(15)) {
			// Lossy: 14 bits each.
			case 0x20:
				return [head.getUint16(26, true) & 0x3fff, head.getUint16(28, true) & 0x3fff];
			// Lossless: 14 bits each behind a signature, less one.
			case 0x4c: {
				const bits = head.getUint32(21, true);
				return [(bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1];
			}
			// Extended: 24 bits each, less one.
			case 0x58:
				return [(head.getUint32(23, true) >>> 8) + 1, (head.getUint32(26, true) >>> 8) + 1];
			default:
				return undefined;
		}
	},
	'image/jpeg': (head) => {
		// Segments follow one another, each with its length, up to the one that begins the picture.
		for (let at = 2; head.getUint8(at) === 0xff; at += 2 + head.getUint16(at + 2)) {
			const marker = head.getUint8(at + 1);
			const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
			if (isFrame) return [head.getUint16(at + 7), head.getUint16(at + 5)];
		}
		return undefined;
	},
	'image/avif': sizeInBoxes,
	'image/heic': sizeInBoxes,
};

/** Only where it is sure to be the whole picture's: it has a single size, and is not turned or cropped. */
function sizeInBoxes(head: DataView): Size | undefined {
	const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
	const text = bytes.toString('latin1');
	const metaAt = text.indexOf('meta') - 4;
	// Throws where the boxes go on behind the start.
	const meta = text.slice(metaAt, metaAt + head.getUint32(metaAt));
	head.getUint8(metaAt + meta.length);
	const sizes = [...meta.matchAll(/ispe[^]{4}([^]{8})/g)].map(([, size]) => size);
	if (new Set(sizes).size !== 1 || /irot|clap/.test(meta)) return undefined;
	const at = metaAt + meta.indexOf('ispe') + 8;
	return [head.getUint32(at), head.getUint32(at + 4)];
}

/** What a file's first bytes say of the image in it: nothing is guessed. */
export function imageFactsOf(head: Uint8Array): ImageFacts {
	const mime_type = imageTypeOf(head)?.mimeType;
	if (mime_type === undefined) return {};
	try {
		const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
		const [width = 0, height = 0] = SIZE_IN[mime_type]?.(view) ?? [];
		return width > 0 && height > 0 ? { width, height, mime_type } : { mime_type };
	} catch {
		// It is further behind.
		return { mime_type };
	}
}
