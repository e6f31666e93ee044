import { createCanvas } from '@napi-rs/canvas';

import {
	imageTypeOf,
	RESULT_HEAD_BYTES,
	resultTypeOf,
	fileNameIn,
	safeFileName,
} from '../../nodes/shared/engine/files/fileType';
import { imageFactsOf } from '../../nodes/shared/engine/files/imageSize';
import { tinyPicture } from '../emulator/pictures';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

function uint32(...numbers: number[]): Buffer {
	const bytes = Buffer.alloc(4 * numbers.length);
	for (const [index, number] of numbers.entries()) bytes.writeInt32BE(number, 4 * index);
	return bytes;
}

/** A box of the ISO base media format, around what is in it. */
function box(type: string, ...content: Buffer[]): Buffer {
	const inner = Buffer.concat(content);
	return Buffer.concat([uint32(8 + inner.length), latin1(type), inner]);
}

/** The box that such a file begins with: a major brand, a version, and further brands. */
function ftyp(major: string, ...compatible: string[]): Buffer {
	return box('ftyp', latin1(`${major}\0\0\0\0${compatible.join('')}`));
}

const HEIC_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1'];

/** Each signature with how many bytes it takes to be sure of it. */
const SIGNATURES: [name: string, head: Buffer, decisive: number, mimeType: string, ext: string][] =
	[
		['PNG', latin1('\x89PNG\r\n\x1a\n'), 8, 'image/png', 'png'],
		['JPEG', latin1('\xff\xd8\xff\xe1\0\x10Exif'), 3, 'image/jpeg', 'jpg'],
		['GIF87a', latin1('GIF87a'), 6, 'image/gif', 'gif'],
		['GIF89a', latin1('GIF89a'), 6, 'image/gif', 'gif'],
		['BMP', latin1(`BM${'\0'.repeat(12)}\x28\0\0\0`), 18, 'image/bmp', 'bmp'],
		['BMP (OS/2)', latin1(`BM${'\xaa'.repeat(12)}\x0c\0\0\0`), 18, 'image/bmp', 'bmp'],
		['TIFF, little-endian', latin1('II*\0'), 4, 'image/tiff', 'tiff'],
		['TIFF, big-endian', latin1('MM\0*'), 4, 'image/tiff', 'tiff'],
		['BigTIFF, little-endian', latin1('II+\0'), 4, 'image/tiff', 'tiff'],
		['BigTIFF, big-endian', latin1('MM\0+'), 4, 'image/tiff', 'tiff'],
		['WebP', latin1('RIFF\x24\0\0\0WEBPVP8 '), 12, 'image/webp', 'webp'],
		['AVIF', ftyp('avif', 'avif', 'mif1', 'miaf'), 12, 'image/avif', 'avif'],
		['AVIF sequence', ftyp('avis', 'avis', 'msf1'), 12, 'image/avif', 'avif'],
		['AVIF by its last brand', ftyp('mif1', 'miaf', 'MA1B', 'avif'), 12, 'image/avif', 'avif'],
	];
for (const brand of HEIC_BRANDS) {
	SIGNATURES.push([brand, ftyp(brand, 'mif1', 'heic'), 12, 'image/heic', 'heic']);
}

describe('the type of an image by its first bytes', () => {
	it.each(SIGNATURES)('knows %s, and is not sure of it with a byte less', (...signature) => {
		const [, head, decisive, mimeType, extension] = signature;
		const longer = Buffer.concat([head, Buffer.alloc(1000, 0xaa)]);
		const type = { mimeType, extension };
		expect(imageTypeOf(longer)).toEqual(type);
		// Whatever the server calls it.
		expect(resultTypeOf(head, 'text/html', 'https://cdn.example/1.bin')).toEqual(type);
		expect(imageTypeOf(head.subarray(0, decisive))).toBeDefined();
		for (let length = 0; length < decisive; length++) {
			expect(imageTypeOf(head.subarray(0, length))).toBeUndefined();
		}
	});

	it.each([
		['a text that begins like a BMP', latin1('BMW has shown a new car, and it is blue.')],
		['MP4', ftyp('isom', 'isom', 'avif')],
		['WAVE', latin1('RIFF\x24\0\0\0WAVEfmt ')],
	])('does not take %s for an image', (_, head) => {
		expect(imageTypeOf(head)).toBeUndefined();
	});
});

describe('the type of a result', () => {
	const CDN = 'https://cdn.example/1';

	it.each<[contentType: string, url: string, mimeType: string, extension: string]>([
		['Video/MP4; codecs="avc1"', CDN, 'video/mp4', 'mp4'],
		['video/mp4', `${CDN}.MOV?sig=a.b`, 'video/mp4', 'mov'],
		['image/svg+xml', CDN, 'image/svg+xml', 'svg'],
		['application/x-zip', CDN, 'application/x-zip', 'zip'],
		['audio/mpeg', CDN, 'audio/mpeg', 'mp3'],
		['text/plain;charset=utf-8', CDN, 'text/plain', 'txt'],
		['application/octet-stream', `${CDN}.glb`, 'application/octet-stream', 'glb'],
		['', CDN, 'application/octet-stream', 'bin'],
		['not a type', 'no URL.png', 'application/octet-stream', 'bin'],
		['', `${CDN}.averylongending`, 'application/octet-stream', 'bin'],
		['video/mp4', 'https://cdn.example/v1.2/1', 'video/mp4', 'mp4'],
	])('of no image, with the Content-Type %j at %s, is %s with the ending %s', (...row) => {
		const [contentType, url, mimeType, extension] = row;
		const bytes = Buffer.of(0, 1, 2, 3);
		expect(resultTypeOf(bytes, contentType, url)).toEqual({ mimeType, extension });
	});

	it.each<[what: string, text: string, contentType: string, mimeType: string | undefined]>([
		['HTML by its type', 'anything', 'text/html; charset=utf-8', undefined],
		['HTML by its start', '\n<!DOCTYPE html><html>', 'image/png', undefined],
		['HTML behind a byte order mark', '\ufeff<html lang="en">', '', undefined],
		['the API’s error', '{"detail":"Not Found"}', 'image/png', undefined],
		['a gateway’s error, cut', ' { "error" : {"code": 404}, "rest": "', 'image/png', undefined],
		['an error further back', '{"status":404,"detail":"x"}', 'application/json', undefined],
		['a deep "detail"', '{"meta":{"detail":"x"}}', 'application/json', 'application/json'],
		['a text', 'detail: error', 'text/plain', 'text/plain'],
	])('is none for an error page in its place, and for nothing else: %s', (_, text, ...types) => {
		const [contentType, mimeType] = types;
		expect(resultTypeOf(Buffer.from(text), contentType, CDN)?.mimeType).toBe(mimeType);
	});
});

it('makes names safe for every file system, and reads those in URLs as people do', () => {
	const given = ['CON', 'lpt9.foo', 'console', 'e\u0301'];
	expect(given.map(safeFileName)).toEqual(['_CON', '_lpt9.foo', 'console', '\u00e9']);
	const urls = ['https://a.example/Bild-%C3%A4.png', 'https://a.example/100%.png'];
	expect(urls.map(fileNameIn)).toEqual(['Bild-ä', '100%']);
});

describe('the size of an image by its first bytes', () => {
	const SIZE = { width: 1120, height: 35 };
	const { width, height } = SIZE;

	const ispe = (...size: number[]) => box('ispe', uint32(0, ...size));
	const heic = (...properties: Buffer[]) =>
		Buffer.concat([ftyp('heic', 'mif1'), box('meta', uint32(0), ...properties), box('mdat')]);

	const bitmap = (signedHeight: number) =>
		Buffer.concat([latin1(`BM${'\0'.repeat(12)}`), uint32(40, width, signedHeight).swap32()]);

	/** As a real encoder writes it. It is clear, but for a corner. */
	function drawn(format: string): Buffer {
		const canvas = createCanvas(width, height);
		canvas.getContext('2d').fillRect(3, 3, 20, 20);
		return canvas.toBuffer(`image/${format}` as 'image/png').subarray(0, RESULT_HEAD_BYTES);
	}

	it.each([
		['PNG', drawn('png'), SIZE],
		['JPEG', drawn('jpeg'), SIZE],
		['WebP that is clear in places', drawn('webp'), SIZE],
		['lossy WebP', latin1(`RIFF\0\0\0\0WEBPVP8 ${'\0'.repeat(10)}\x60\x04\x23\0`), SIZE],
		['lossless WebP', latin1('RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x5f\x84\x08\0'), SIZE],
		['AVIF', drawn('avif'), SIZE],
		['GIF', tinyPicture('x', 'gif'), { width: 1, height: 1 }],
		['BMP', bitmap(height), SIZE],
		['BMP from top to bottom', bitmap(-height), SIZE],
		['BMP (OS/2)', latin1(`BM${'\0'.repeat(12)}\x0c\0\0\0\x60\x04\x23\0`), SIZE],
		['HEIC', heic(ispe(width, height)), SIZE],
	])('is known of %s', (_, head, size) => {
		expect(imageFactsOf(head)).toMatchObject(size);
	});

	it.each([
		['a HEIC of tiles', heic(ispe(512, 512), ispe(width, height))],
		['a HEIC that is turned', heic(ispe(width, height), box('irot', Buffer.of(1)))],
		['a HEIC without a size', heic()],
		['a HEIC whose boxes go on', heic(ispe(width, height), Buffer.alloc(900)).subarray(0, 900)],
		['a JPEG with a long preface', latin1(`\xff\xd8\xff\xe1\xff\xf0${'\0'.repeat(506)}`)],
		['a JPEG without a picture', latin1('\xff\xd8\xff\xe0\0\x04\0\0\0\0\0\0')],
		['a TIFF', latin1('II*\0\x08\0\0\0')],
		['a WebP of another kind', latin1(`RIFF\0\0\0\0WEBPALPH${'\x01'.repeat(20)}`)],
		['a PNG for Apple only', latin1(`\x89PNG\r\n\x1a\n\0\0\0\x04CgBI${'\x01'.repeat(20)}`)],
		['a BMP without height', bitmap(0)],
	])('is not guessed of %s', (_, head) => {
		expect(imageFactsOf(head)).toEqual({ mime_type: expect.stringContaining('image/') as string });
		expect(imageFactsOf(latin1('Hello'))).toEqual({});
	});
});
