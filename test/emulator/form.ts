import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** A file part as it arrived. */
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

/** What undici calls deprecated, since it holds all of a body in memory: that is no harm here. */
interface FormBody {
	formData: () => Promise<FormData>;
}

const FORM = /^(multipart\/form-data|application\/x-www-form-urlencoded)\b/i;
const HEAD_BYTES = 64;
/** Starlette's limit. */
const VALUE_BYTES = 1024 * 1024;

/**
 * Reads a request's body as a form. A body that is no form at all (JSON, say) is an empty form, as
 * FastAPI sees it. Clients that are still sending do not hear an answer, so all of it is read first.
 *
 * @throws Error for a body that cannot be parsed, with the API's `detail` as its message
 */
export async function readForm(request: IncomingMessage): Promise<ReceivedForm> {
	const { 'content-type': contentType = '' } = request.headers;
	const headers = { 'content-type': contentType };
	const body: FormBody = new Response(await buffer(request), { headers });
	const form = FORM.test(contentType) ? await body.formData().catch(() => undefined) : [];
	if (!form) throw new Error('There was an error parsing the body');
	const fields = new Map<string, string>();
	const files: ReceivedFile[] = [];
	for (const [field, value] of form) {
		if (typeof value === 'string') {
			if (Buffer.byteLength(value) > VALUE_BYTES) {
				throw new Error('Part exceeded maximum size of 1024KB.');
			}
			fields.set(field, value);
			continue;
		}
		const content = Buffer.from(await value.arrayBuffer());
		files.push({
			field,
			// As it was sent: the parser reads these as a browser writes them.
			fileName: value.name.replace(/["\r\n]/g, encodeURIComponent),
			mimeType: value.type,
			bytes: content.length,
			sha256: createHash('sha256').update(content).digest('hex'),
			head: Buffer.from(content.subarray(0, HEAD_BYTES)),
		});
	}
	return { fields: Object.fromEntries(fields), files };
}
