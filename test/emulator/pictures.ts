import { crc32 } from 'node:zlib';
import type { ImageFormat } from './jobs';

const PNG_SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
/** 1×1, 8 bits of grey. */
const PNG_HEADER = Buffer.from('00000001000000010800000000', 'hex');
/** One white pixel, deflated. */
const PNG_PIXEL = Buffer.from('789c63f80f0001010100', 'hex');
const GIF_HEAD = Buffer.from('47494638396101000100800000000000ffffff', 'hex');
const GIF_PIXEL = Buffer.from('2c0000000001000100000202440100', 'hex');

/** A valid 1×1 picture that carries its label as a comment, so that no two are alike. */
export function tinyPicture(label: string, format: ImageFormat): Buffer {
	const comment = Buffer.from(label, 'latin1');
	if (format === 'gif') {
		const extension = Buffer.from([0x21, 0xfe, comment.length]);
		return Buffer.concat([GIF_HEAD, extension, comment, Buffer.of(0), GIF_PIXEL, Buffer.of(0x3b)]);
	}
	return Buffer.concat([
		PNG_SIGNATURE,
		pngChunk('IHDR', PNG_HEADER),
		pngChunk('tEXt', Buffer.concat([Buffer.from('Comment\0'), comment])),
		pngChunk('IDAT', PNG_PIXEL),
		pngChunk('IEND', Buffer.alloc(0)),
	]);
}

function pngChunk(type: string, data: Buffer): Buffer {
	const length = Buffer.alloc(4);
	length.writeUInt32BE(data.length);
	const content = Buffer.concat([Buffer.from(type), data]);
	const checksum = Buffer.alloc(4);
	checksum.writeUInt32BE(crc32(content));
	return Buffer.concat([length, content, checksum]);
}
