import { createHash } from 'node:crypto';
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

/** A file that was small enough to keep whole. */
export interface KeptFile {
	field: string;
	content: Buffer;
}

/** A form, and those of its files that were kept. */
export interface ReadForm {
	form: ReceivedForm;
	copies: readonly KeptFile[];
}

/** The body cannot be read as the form it claims to be; the message is the API's `detail`. */
export class MalformedForm extends Error {}

/** The client went away before its body was complete. */
export class ClientGone extends Error {}

/** Starlette's own limit of a value field. */
const MAX_FIELD_BYTES = 1024 * 1024;
const HEAD_BYTES = 64;

/**
 * Reads a request's body as a form, holding no file above `maxCopyBytes` in memory. Resolves once the body has been
 * read whole, also when it is no form at all (JSON, say): then the form is empty, as FastAPI sees it.
 *
 * @throws {MalformedForm} for a multipart body that cannot be parsed
 * @throws {ClientGone} when the connection ended first
 */
export async function readForm(request: IncomingMessage, maxCopyBytes: number): Promise<ReadForm> {
	const contentType = request.headers['content-type'];
	if (
		!contentType ||
		!/^(multipart\/form-data|application\/x-www-form-urlencoded)\b/i.test(contentType)
	) {
		await drain(request);
		return { form: { fields: {}, files: [] }, copies: [] };
	}
	try {
		return await parse(request, contentType, maxCopyBytes);
	} catch (error) {
		if (error instanceof ClientGone) throw error;
		await drain(request);
		throw error instanceof MalformedForm
			? error
			: new MalformedForm('There was an error parsing the body');
	}
}

async function drain(request: IncomingMessage): Promise<void> {
	if (request.complete && request.readableEnded) return;
	await new Promise<void>((resolve, reject) => {
		request.once('end', resolve);
		request.once('close', () => {
			reject(new ClientGone());
		});
		request.resume();
	});
}

async function parse(
	request: IncomingMessage,
	contentType: string,
	maxCopyBytes: number,
): Promise<ReadForm> {
	const fields = new Map<string, string>();
	const files: ReceivedFile[] = [];
	const copies: KeptFile[] = [];
	// Names are kept as they were sent, paths included: tests want to see what a client really sends.
	const busboy = new Busboy({
		headers: { ...request.headers, 'content-type': contentType },
		preservePath: true,
		limits: { fieldSize: MAX_FIELD_BYTES + 1 },
		isPartAFile: (_field, _contentType, fileName) => fileName !== undefined,
	});
	try {
		await new Promise<void>((resolve, reject) => {
			busboy.on('field', (name, value) => {
				if (Buffer.byteLength(value) > MAX_FIELD_BYTES) {
					reject(new MalformedForm('Part exceeded maximum size of 1024KB.'));
				}
				fields.set(name, value);
			});
			busboy.on('file', (field, stream, fileName, _encoding, mimeType) => {
				const hash = createHash('sha256');
				const file: ReceivedFile = {
					field,
					fileName,
					mimeType,
					bytes: 0,
					sha256: '',
					head: Buffer.alloc(0),
				};
				files.push(file);
				let kept: Buffer[] | undefined = maxCopyBytes > 0 ? [] : undefined;
				stream.on('data', (chunk: Buffer) => {
					hash.update(chunk);
					file.bytes += chunk.length;
					if (file.head.length < HEAD_BYTES) {
						file.head = Buffer.concat([file.head, chunk.subarray(0, HEAD_BYTES)]);
					}
					if (file.bytes > maxCopyBytes) kept = undefined;
					kept?.push(chunk);
				});
				stream.on('error', reject);
				stream.on('end', () => {
					file.sha256 = hash.digest('hex');
					if (kept) copies.push({ field, content: Buffer.concat(kept) });
				});
			});
			busboy.on('finish', resolve);
			busboy.on('error', reject);
			request.once('close', () => {
				if (!request.complete) reject(new ClientGone());
			});
			request.pipe(busboy);
		});
	} finally {
		request.unpipe(busboy);
	}
	return { form: { fields: Object.fromEntries(fields), files }, copies };
}
