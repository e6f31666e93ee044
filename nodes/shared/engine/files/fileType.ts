/** A file's type and the usual ending of its name. */
export interface FileType {
	mimeType: string;
	extension: string;
}

/** How many bytes from a file's start are enough for {@link imageTypeOf}. */
export const IMAGE_SIGNATURE_BYTES = 32;

const PNG: FileType = { mimeType: 'image/png', extension: 'png' };
const JPEG: FileType = { mimeType: 'image/jpeg', extension: 'jpg' };
const GIF: FileType = { mimeType: 'image/gif', extension: 'gif' };
const BMP: FileType = { mimeType: 'image/bmp', extension: 'bmp' };
const TIFF: FileType = { mimeType: 'image/tiff', extension: 'tiff' };
const WEBP: FileType = { mimeType: 'image/webp', extension: 'webp' };
const AVIF: FileType = { mimeType: 'image/avif', extension: 'avif' };
const HEIC: FileType = { mimeType: 'image/heic', extension: 'heic' };

/** Signatures at offset 0, as latin-1 text. */
const SIGNATURES: readonly (readonly [signature: string, type: FileType])[] = [
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
const BRANDS: Readonly<Record<string, FileType>> = {
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
export function imageTypeOf(head: Uint8Array): FileType | undefined {
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

/** What is enough of a file's start to tell an error page from a result, and the size of most images. */
export const RESULT_HEAD_BYTES = 1024;

/** Endings that are not the second half of their media type. */
const EXTENSIONS: Readonly<Record<string, string>> = {
	'application/octet-stream': 'bin',
	'audio/mpeg': 'mp3',
	'image/jpeg': 'jpg',
	'text/plain': 'txt',
	'video/quicktime': 'mov',
};

const HTML = /^\s*<(!doctype html|html|head|body)\b/i;

/**
 * The type of a result file: an image is what its bytes say; anything else, what its server says.
 *
 * @param head at least {@link RESULT_HEAD_BYTES} bytes, or the whole file when it is shorter
 * @param contentType the header's value, or an empty text
 * @returns undefined for an error page that came in place of the file
 */
export function resultTypeOf(
	head: Uint8Array,
	contentType: string,
	url: string,
): FileType | undefined {
	const image = imageTypeOf(head);
	if (image) return image;
	if (isWebPage(head, contentType) || isErrorJson(textOf(head))) return undefined;
	const mimeType = (contentType.split(';')[0] ?? '').trim().toLowerCase();
	const known = /^[\w.+-]+\/[\w.+-]+$/.test(mimeType) ? mimeType : 'application/octet-stream';
	const inPath = /\.([a-z\d]{1,8})$/i.exec(URL.canParse(url) ? new URL(url).pathname : '')?.[1];
	const subtype = /^[^/]+\/(?:x-)?([a-z\d]{1,8})(?:\+|$)/.exec(known)?.[1];
	const extension = inPath?.toLowerCase() ?? EXTENSIONS[known] ?? subtype ?? 'bin';
	return { mimeType: known, extension };
}

/** Whether a server sent a page for people, such as a login, in place of a file. */
export function isWebPage(head: Uint8Array, contentType: string): boolean {
	return /^\s*text\/html\b/i.test(contentType) || HTML.test(textOf(head));
}

/**
 * Whether a text is the content of a file, where a name or URL of one is expected: a data URL, or
 * base64 that begins as an image does.
 */
export function isFileContent(text: string): boolean {
	if (/^\s*data:[^\s,]*[/;][^\s,]*,/i.test(text)) return true;
	const start = text.slice(0, 200).replace(/\s/g, '').slice(0, 64);
	return /^[\w+/-]{40,}=*$/.test(start) && imageTypeOf(Buffer.from(start, 'base64')) !== undefined;
}

function textOf(head: Uint8Array): string {
	return Buffer.from(head)
		.toString('utf8')
		.replace(/^\ufeff/, '');
}

/** FastAPI's errors, and those of most gateways: short objects with one of these keys. */
function isErrorJson(text: string): boolean {
	if (/^\s*\{\s*"(detail|error)"\s*:/.test(text)) return true;
	try {
		const body: unknown = JSON.parse(text);
		return typeof body === 'object' && body !== null && ('detail' in body || 'error' in body);
	} catch {
		return false;
	}
}

/** No file system takes more than 255 bytes; endings and numbers need some of them. */
const LONGEST_NAME_BYTES = 200;

/** Windows keeps nothing under the names of its devices, whatever follows them. */
const DEVICE_NAME = /^(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\.|$)/i;

/** A file name without folders, control characters, and lone surrogates, and of a sensible length. */
export function safeFileName(fileName: string): string {
	const base = fileName.split(/[/\\]/).at(-1) ?? '';
	// Some file systems take the two ways to write an accent for the same name.
	const name = shortName(
		base
			.normalize('NFC')
			.replace(/\p{Cc}/gu, '')
			.trim(),
	).trim();
	if (/^\.+$/.test(name)) return '';
	return DEVICE_NAME.test(name) ? `_${name}` : name;
}

/** A name and the number behind it, both within the length of a name. */
export function numberedName(name: string, number: number): string {
	const suffix = `-${number}`;
	return `${shortName(name, LONGEST_NAME_BYTES - suffix.length)}${suffix}`;
}

/** The start of a name, in whole characters: most take one to four bytes in a file system. */
function shortName(name: string, bytes = LONGEST_NAME_BYTES): string {
	// The end may have cut a pair in two.
	const text = Buffer.from(name.slice(0, bytes).replace(/\p{Cs}/gu, ''));
	let end = Math.min(text.length, bytes);
	// The bytes that continue a character are 10xxxxxx.
	while (((text[end] ?? 0) & 0xc0) === 0x80) end--;
	return text.toString('utf8', 0, end);
}

function decoded(segment: string): string {
	try {
		return decodeURIComponent(segment);
	} catch {
		return segment;
	}
}

/** The name that a URL's path ends in, without extension. */
export function fileNameIn(url: string): string {
	const last = new URL(url).pathname.split('/').at(-1) ?? '';
	return safeFileName(decoded(last).replace(/\.[a-z\d]{1,8}$/i, '')) || 'image';
}
