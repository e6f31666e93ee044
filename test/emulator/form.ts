import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Busboy } from '@fastify/busboy';

/** A file part as it arrived. Its bytes are counted and hashed while they stream past. */
export interface ReceivedFile {
	field: string;
	fileName: string;
	mimeType: string;
	bytes: number;
	sha256: string;
	/** The first bytes, enough to tell image formats apart. */
	head: Buffer;
}

/** A multipart (or urlencoded) body as it arrived. */
export interface ReceivedForm {
	/** Value fields by name; of a repeated one the last counts, as in FastAPI. */
	fields: Readonly<Record<string, string>>;
	files: readonly ReceivedFile[];
}

const FORM = /^(multipart\/form-data|application\/x-www-form-urlencoded)\b/i;
const HEAD_BYTES = 64;

/**
 * Reads a request's body as a form, holding no file in memory. A body that is no form at all (JSON,
 * say) is an empty form, as FastAPI sees it. Never resolves when the client leaves.
 *
 * @throws Error for a body that cannot be parsed, with the API's `detail` as its message
 */
export async function readForm(request: IncomingMessage): Promise<ReceivedForm> {
	const { 'content-type': contentType = '' } = request.headers;
	if (!FORM.test(contentType)) {
		await drain(request);
		return { fields: {}, files: [] };
	}
	const fields = new Map<string, string>();
	const files: ReceivedFile[] = [];
	// Names are kept as they were sent, paths included: tests want to see what a client really sends.
	const busboy = new Busboy({
		headers: { ...request.headers, 'content-type': contentType },
		preservePath: true,
		isPartAFile: (_field, _contentType, fileName) => fileName !== undefined,
	});
	await new Promise<void>((resolve, reject) => {
		const broken = () => {
			reject(new Error('There was an error parsing the body'));
		};
		busboy.on('field', (name, value, _isNameCut, isCut) => {
			// Busboy's limit of a field is Starlette's, too.
			if (isCut) reject(new Error('Part exceeded maximum size of 1024KB.'));
			fields.set(name, value);
		});
		busboy.on('file', (field, stream, fileName, _encoding, mimeType) => {
			const hash = createHash('sha256');
			let bytes = 0;
			let head = Buffer.alloc(0);
			stream.on('data', (chunk: Buffer) => {
				hash.update(chunk);
				bytes += chunk.length;
				if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES)]);
			});
			stream.on('error', broken);
			stream.on('end', () => {
				files.push({ field, fileName, mimeType, bytes, sha256: hash.digest('hex'), head });
			});
		});
		busboy.on('finish', resolve);
		busboy.on('error', broken);
		request.pipe(busboy);
	}).catch(async (error: unknown) => {
		request.unpipe();
		await drain(request);
		throw error;
	});
	return { fields: Object.fromEntries(fields), files };
}

/** Takes in what is left of a body: clients that are still sending it do not hear an answer. */
async function drain(request: IncomingMessage): Promise<void> {
	request.resume();
	if (!request.readableEnded) await once(request, 'end');
}
