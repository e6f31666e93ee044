import { createCanvas } from '@napi-rs/canvas';
import fc from 'fast-check';
import {
	IMAGE_SIGNATURE_BYTES,
	imageTypeOf,
	RESULT_HEAD_BYTES,
	resultTypeOf,
	fileNameIn,
	safeFileName,
} from '../../nodes/shared/engine/files/fileType';
import { imageFactsOf } from '../../nodes/shared/engine/files/imageSize';
import { tinyPicture } from '../emulator/pictures';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** A file of the ISO base media format: `ftyp` box with a major brand, a version, and further brands. */
function ftyp(major: string, ...compatible: string[]): Buffer {
	const length = Buffer.alloc(4);
	length.writeUInt32BE(16 + 4 * compatible.length);
	return Buffer.concat([length, latin1(`ftyp${major}\0\0\0\0${compatible.join('')}`)]);
}

/** Each signature with how many bytes it takes to be sure of it. */
const SIGNATURES: [name: string, head: Buffer, decisive: number, mimeType: string, ext: string][] =
	[
		['PNG', latin1('\x89PNG\r\n\x1a\n'), 8, 'image/png', 'png'],
		['JPEG (JFIF)', latin1('\xff\xd8\xff\xe0\0\x10JFIF'), 3, 'image/jpeg', 'jpg'],
		['JPEG (Exif)', latin1('\xff\xd8\xff\xe1\0\x10Exif'), 3, 'image/jpeg', 'jpg'],
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
		['HEIC', ftyp('heic', 'mif1', 'heic'), 12, 'image/heic', 'heic'],
		['HEIX', ftyp('heix', 'mif1', 'heix'), 12, 'image/heic', 'heic'],
		['HEIM', ftyp('heim'), 12, 'image/heic', 'heic'],
		['HEIS', ftyp('heis'), 12, 'image/heic', 'heic'],
		['HEVC', ftyp('hevc'), 12, 'image/heic', 'heic'],
		['HEVX', ftyp('hevx'), 12, 'image/heic', 'heic'],
		['MIF1', ftyp('mif1', 'mif1', 'heic'), 12, 'image/heic', 'heic'],
		['MSF1', ftyp('msf1'), 12, 'image/heic', 'heic'],
	];

describe('the type of an image by its first bytes', () => {
	it.each(SIGNATURES)('knows %s', (_, head, __, mimeType, extension) => {
		expect(imageTypeOf(head)).toEqual({ mimeType, extension });
		const longer = Buffer.concat([head, Buffer.alloc(1000, 0xaa)]);
		expect(imageTypeOf(longer)).toEqual({ mimeType, extension });
	});

	it.each(SIGNATURES)('is not sure of %s with a byte less', (_, head, decisive) => {
		for (let length = 0; length < decisive; length++) {
			expect(imageTypeOf(head.subarray(0, length))).toBeUndefined();
		}
		expect(imageTypeOf(head.subarray(0, decisive))).toBeDefined();
	});

	it.each([1, 2, 3, 4])('takes mif1 for AVIF when avif is the compatible brand %i', (place) => {
		const brands = ['mif1', 'miaf', 'MA1B'];
		brands.splice(place - 1, 0, 'avif');
		expect(imageTypeOf(ftyp('mif1', ...brands))?.mimeType).toBe('image/avif');
	});

	it.each([
		['nothing', Buffer.alloc(0)],
		['a text that begins like a BMP', Buffer.from('BMW has shown a new car, and it is blue.')],
		['HTML', Buffer.from('<!doctype html><html><body>502</body></html>')],
		['JSON', Buffer.from('{"error":"not found"}')],
		['PDF', Buffer.from('%PDF-1.7\n')],
		['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
		['MP4', ftyp('isom', 'isom', 'avif')],
		['QuickTime', ftyp('qt  ')],
		['a brand that only JavaScript knows', ftyp('toString'.slice(0, 4))],
		['WAVE', latin1('RIFF\x24\0\0\0WAVEfmt ')],
		['ZIP', latin1('PK\x03\x04')],
		['GIF of a version nobody has seen', latin1('GIF90a')],
		['text that names a PNG', Buffer.from('PNG\r\n\x1a\n')],
		['a PNG behind a byte order mark', latin1('\xef\xbb\xbf\x89PNG\r\n\x1a\n')],
	])('does not take %s for an image', (_, head) => {
		expect(imageTypeOf(head)).toBeUndefined();
	});

	it('judges any bytes without throwing, and by the first ones alone', () => {
		const start = fc.constantFrom(...SIGNATURES.map(([, head]) => head), Buffer.alloc(0));
		fc.assert(
			fc.property(start, fc.uint8Array({ maxLength: 80 }), (head, rest) => {
				const bytes = Buffer.concat([head, rest]);
				const type = imageTypeOf(bytes);
				expect(imageTypeOf(bytes.subarray(0, IMAGE_SIGNATURE_BYTES))).toEqual(type);
				expect(imageTypeOf(new Uint8Array(bytes))).toEqual(type);
			}),
		);
	});
});

describe('the type of a result', () => {
	const CDN = 'https://cdn.example/1';
	const bytes = Buffer.from([0, 1, 2, 3]);

	it.each(SIGNATURES)(
		'is what its bytes say for %s, whatever the server calls it',
		(_, head, __, mimeType, extension) => {
			for (const declared of ['image/png', 'text/html', 'application/json', '']) {
				expect(resultTypeOf(head, declared, `${CDN}.bin`)).toEqual({ mimeType, extension });
			}
		},
	);

	it.each<[contentType: string, url: string, mimeType: string, extension: string]>([
		['video/mp4', CDN, 'video/mp4', 'mp4'],
		['Video/MP4; codecs="avc1"', CDN, 'video/mp4', 'mp4'],
		['video/mp4', `${CDN}.MOV?sig=a.b`, 'video/mp4', 'mov'],
		['image/svg+xml', CDN, 'image/svg+xml', 'svg'],
		['application/x-zip', CDN, 'application/x-zip', 'zip'],
		['audio/mpeg', CDN, 'audio/mpeg', 'mp3'],
		['text/plain;charset=utf-8', CDN, 'text/plain', 'txt'],
		['model/gltf-binary', CDN, 'model/gltf-binary', 'bin'],
		['application/octet-stream', `${CDN}.glb`, 'application/octet-stream', 'glb'],
		['application/octet-stream', CDN, 'application/octet-stream', 'bin'],
		['', `${CDN}.psd`, 'application/octet-stream', 'psd'],
		['', CDN, 'application/octet-stream', 'bin'],
		['not a type', CDN, 'application/octet-stream', 'bin'],
		['', 'https://cdn.example', 'application/octet-stream', 'bin'],
		['', 'no URL.png', 'application/octet-stream', 'bin'],
		['', `${CDN}.averylongending`, 'application/octet-stream', 'bin'],
		['', `${CDN}.p%2fg`, 'application/octet-stream', 'bin'],
		['video/mp4', 'https://cdn.example/v1.2/1', 'video/mp4', 'mp4'],
	])('of no image, with the Content-Type %j at %s, is %s with the ending %s', (...row) => {
		const [contentType, url, mimeType, extension] = row;
		expect(resultTypeOf(bytes, contentType, url)).toEqual({ mimeType, extension });
	});

	it.each<[string, string, string]>([
		['HTML by its type', 'anything', 'text/html; charset=utf-8'],
		['HTML by its start', '\n<!DOCTYPE html><html>', 'image/png'],
		['HTML behind a byte order mark', '\ufeff<html lang="en">', ''],
		['the API’s error', '{"detail":"Not Found"}', 'image/png'],
		['a gateway’s error', ' { "error" : {"code": 404}, "rest": "', 'application/json'],
		['an error with its key further back', '{"status":404,"detail":"x"}', 'application/json'],
	])('is none for an error page in its place: %s', (_, text, contentType) => {
		expect(resultTypeOf(Buffer.from(text), contentType, `${CDN}.png`)).toBeUndefined();
	});

	it.each<[string, string]>([
		['{"frames":[1],"meta":{"detail":"x"}}', 'application/json'],
		['["detail","error"]', 'application/json'],
		['<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml'],
		['detail: error', 'text/plain'],
	])('is kept for a file that only resembles an error page: %s', (text, mimeType) => {
		expect(resultTypeOf(Buffer.from(text), mimeType, CDN)?.mimeType).toBe(mimeType);
	});

	it('always has an ending that is safe in a file name', () => {
		fc.assert(
			fc.property(fc.uint8Array(), fc.string(), fc.oneof(fc.webUrl(), fc.string()), (...given) => {
				expect(resultTypeOf(...given)?.extension ?? 'bin').toMatch(/^[a-z\d]{1,8}$/);
			}),
		);
	});
});

it.each([
	['CON', '_CON'],
	['lpt9.foo', '_lpt9.foo'],
	['console', 'console'],
	['e\u0301', '\u00e9'],
])('makes %j safe for every file system', (given, name) => {
	expect(safeFileName(given)).toBe(name);
});

it.each([
	['https://a.example/Bild-%C3%A4.png', 'Bild-ä'],
	['https://a.example/100%.png', '100%'],
])('names the file of %s as people read it', (url, name) => {
	expect(fileNameIn(url)).toBe(name);
});

describe('the size of an image by its first bytes', () => {
	const WIDTH = 1120;
	const HEIGHT = 35;

	const uint32 = (...numbers: number[]): Buffer => {
		const bytes = Buffer.alloc(4 * numbers.length);
		for (const [index, number] of numbers.entries()) bytes.writeInt32BE(number, 4 * index);
		return bytes;
	};
	/** A box of the ISO base media format, around what is in it. */
	const box = (type: string, ...content: Buffer[]): Buffer => {
		const inner = Buffer.concat(content);
		return Buffer.concat([uint32(8 + inner.length), latin1(type), inner]);
	};
	const ispe = (width: number, height: number) => box('ispe', uint32(0, width, height));
	const heic = (...properties: Buffer[]) =>
		Buffer.concat([ftyp('heic', 'mif1'), box('meta', uint32(0), ...properties), box('mdat')]);
	const bitmap = (height: number): Buffer => {
		const header = Buffer.alloc(54);
		header.write('BM');
		header.writeUInt32LE(40, 14);
		header.writeInt32LE(WIDTH, 18);
		header.writeInt32LE(height, 22);
		return header;
	};

	function drawn(format: string, isClear: boolean): Buffer {
		const canvas = createCanvas(WIDTH, HEIGHT);
		const pen = canvas.getContext('2d');
		if (!isClear) pen.fillRect(0, 0, WIDTH, HEIGHT);
		pen.fillStyle = 'rgba(200, 30, 90, 0.5)';
		pen.fillRect(3, 3, 20, 20);
		return canvas.toBuffer(`image/${format}` as 'image/png');
	}

	it.each(['png', 'jpeg', 'webp', 'avif'])('is known of a real %s', (format) => {
		for (const isClear of [false, true]) {
			const head = drawn(format, isClear).subarray(0, RESULT_HEAD_BYTES);
			const mime_type = `image/${format}`;
			expect(imageFactsOf(head)).toEqual({ width: WIDTH, height: HEIGHT, mime_type });
		}
	});

	it.each([
		['GIF', tinyPicture('x', 'gif'), [1, 1]],
		['BMP', bitmap(HEIGHT), [WIDTH, HEIGHT]],
		['BMP from top to bottom', bitmap(-HEIGHT), [WIDTH, HEIGHT]],
		['lossless WebP', latin1('RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x5f\x84\x08\0'), [WIDTH, HEIGHT]],
		['HEIC', heic(ispe(WIDTH, HEIGHT)), [WIDTH, HEIGHT]],
	])('is known of %s', (_, head, [width, height]) => {
		expect(imageFactsOf(head)).toMatchObject({ width, height });
	});

	it.each([
		['a HEIC of tiles', heic(ispe(512, 512), ispe(WIDTH, HEIGHT))],
		['a HEIC that is turned', heic(ispe(WIDTH, HEIGHT), box('irot', Buffer.of(1)))],
		['a HEIC without a size', heic()],
		['a HEIC whose boxes go on', heic(ispe(WIDTH, HEIGHT), Buffer.alloc(900)).subarray(0, 900)],
		[
			'a JPEG with a long preface',
			Buffer.concat([latin1('\xff\xd8\xff\xe1\xff\xf0'), Buffer.alloc(506)]),
		],
		['a TIFF', latin1('II*\0\x08\0\0\0')],
		['a PNG for Apple only', latin1(`\x89PNG\r\n\x1a\n\0\0\0\x04CgBI${'\x01'.repeat(20)}`)],
		['a BMP without width', bitmap(0)],
	])('is not guessed of %s', (_, head) => {
		expect(imageFactsOf(head)).toEqual({ mime_type: expect.stringContaining('image/') as string });
	});

	it('is that of no image where there is none, and never throws', () => {
		expect(imageFactsOf(latin1('Hello'))).toEqual({});
		fc.assert(
			fc.property(fc.constantFrom(...SIGNATURES), fc.uint8Array(), ([, head], rest) => {
				const { width = 1, height = 1 } = imageFactsOf(Buffer.concat([head, rest]));
				expect(Math.min(width, height)).toBeGreaterThan(0);
			}),
		);
	});
});
