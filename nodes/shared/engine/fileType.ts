/** What the first bytes of a file show it to be. */
export interface ImageType {
	mimeType: string;
	extension: string;
}

/** How many bytes from a file's start are enough for {@link imageTypeOf}. */
export const IMAGE_SIGNATURE_BYTES = 32;

const PNG: ImageType = { mimeType: 'image/png', extension: 'png' };
const JPEG: ImageType = { mimeType: 'image/jpeg', extension: 'jpg' };
const GIF: ImageType = { mimeType: 'image/gif', extension: 'gif' };
const BMP: ImageType = { mimeType: 'image/bmp', extension: 'bmp' };
const TIFF: ImageType = { mimeType: 'image/tiff', extension: 'tiff' };
const WEBP: ImageType = { mimeType: 'image/webp', extension: 'webp' };
const AVIF: ImageType = { mimeType: 'image/avif', extension: 'avif' };
const HEIC: ImageType = { mimeType: 'image/heic', extension: 'heic' };

/** Signatures at offset 0, as latin-1 text. */
const SIGNATURES: readonly (readonly [signature: string, type: ImageType])[] = [
	['\x89PNG\r\n\x1a\n', PNG],
	['\xff\xd8\xff', JPEG],
	['GIF87a', GIF],
	['GIF89a', GIF],
	['II*\0', TIFF],
	['MM\0*', TIFF],
	['II+\0', TIFF],
	['MM\0+', TIFF],
];

/**
 * A Windows bitmap: "BM" alone also begins many a text, so the size of the header that follows the
 * first 14 bytes counts as well. It is 12 to 124, in four bytes, the lowest first.
 */
const BITMAP = /^BM[^]{12}[\x0c-\x7c]\0\0\0/;

/** Brands of the ISO base media file format (ISO/IEC 23008-12, AV1 Image File Format). */
const BRANDS: Readonly<Record<string, ImageType>> = {
	avif: AVIF,
	avis: AVIF,
	heic: HEIC,
	heix: HEIC,
	heim: HEIC,
	heis: HEIC,
	hevc: HEIC,
	hevx: HEIC,
	mif1: HEIC,
	msf1: HEIC,
};

/**
 * Tells an image's type from its first bytes. Names and headers are not asked: n8n stores whatever
 * an earlier node claimed, and a CDN may label every file alike.
 *
 * @param head at least {@link IMAGE_SIGNATURE_BYTES} bytes, or the whole file when it is shorter
 * @returns undefined when the bytes are those of no image type that the API might take
 */
export function imageTypeOf(head: Uint8Array): ImageType | undefined {
	const text = Buffer.from(head.subarray(0, IMAGE_SIGNATURE_BYTES)).toString('latin1');
	const match = SIGNATURES.find(([signature]) => text.startsWith(signature));
	if (match) return match[1];
	if (BITMAP.test(text)) return BMP;
	if (text.startsWith('RIFF') && text.startsWith('WEBP', 8)) return WEBP;
	if (!text.startsWith('ftyp', 4)) return undefined;
	// An AVIF file may call itself "mif1" first and "avif" among the compatible brands that follow.
	const [major, ...compatible] = [8, 16, 20, 24, 28].map((at) => text.slice(at, at + 4));
	if (major === undefined || !(major in BRANDS)) return undefined;
	return compatible.some((brand) => BRANDS[brand] === AVIF) ? AVIF : BRANDS[major];
}
