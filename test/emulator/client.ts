import { request as httpRequest } from 'node:http';
import FormData from 'form-data';
import { ENDPOINT_CASES, type EndpointCase } from '../support/endpointCases';
import type { Emulator } from './emulator';
import { tinyPicture } from './pictures';

/** What a client puts into a form. */
export interface Sending {
	fields?: Readonly<Record<string, string>>;
	files?: Readonly<Record<string, readonly Buffer[]>>;
}

const ROWS = [
	{ row: 1, title: 'Idle', description: 'Character standing still' },
	{ row: 2, title: 'Walk', description: 'Character walking to the right' },
];

/** A form that an endpoint takes, with the required fields alone. */
export function exampleFor(path: string): Required<Sending> {
	const fields: Record<string, string> = {};
	const files: Record<string, Buffer[]> = {};
	for (const field of caseFor(path).fields) {
		if (field.isOptional) continue;
		if (field.kind === 'files') files[field.name] = [tinyPicture('example', 'png')];
		else if (field.kind === 'table') fields[field.name] = JSON.stringify(ROWS);
		else fields[field.name] = 'example' in field ? field.example : String(field.allowed[0]);
	}
	return { fields, files };
}

export function caseFor(path: string): EndpointCase {
	const found = ENDPOINT_CASES.find((row) => row.path === path);
	if (!found) throw new Error(`test/support/endpointCases.ts has no row for ${path}`);
	return found;
}

/** The API's answer to a client. */
export interface Reply {
	status: number;
	headers: NodeJS.Dict<string | string[]>;
	body: unknown;
}

/** A form as the form-data package writes it, which shares no code with the emulator or the nodes. */
export function formOf({ fields = {}, files = {} }: Sending): FormData {
	const form = new FormData();
	for (const [name, value] of Object.entries(fields)) form.append(name, value);
	for (const [name, contents] of Object.entries(files)) {
		for (const [index, content] of contents.entries()) {
			form.append(name, content, { filename: `${index}.png`, contentType: 'image/png' });
		}
	}
	return form;
}

/** Sends a form to an endpoint by Node's own http. */
export async function post(
	emulator: Emulator,
	path: string,
	form: FormData,
	key = 'test-key',
): Promise<Reply> {
	return await new Promise((resolve, reject) => {
		const outgoing = httpRequest(
			emulator.apiUrl + path,
			{ method: 'POST', headers: { ...form.getHeaders(), authorization: `Bearer ${key}` } },
			(incoming) => {
				const chunks: Buffer[] = [];
				incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
				incoming.on('error', reject);
				incoming.on('end', () => {
					const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
					resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
				});
			},
		);
		outgoing.on('error', reject);
		form.pipe(outgoing);
	});
}

/** Asks for the state of a job. */
export async function poll(emulator: Emulator, jobId: string, key = 'test-key'): Promise<Reply> {
	const response = await fetch(`${emulator.apiUrl}/public/v1/job/${jobId}`, {
		headers: { authorization: `Bearer ${key}` },
	});
	const headers = Object.fromEntries(response.headers);
	return { status: response.status, headers, body: await response.json() };
}

/** The results of the emulator's last job, which has to be finished. */
export async function downloadResults(
	emulator: Emulator,
): Promise<{ type: string | null; content: Buffer }[]> {
	const { body } = await poll(emulator, emulator.submits.at(-1)?.jobId ?? '');
	const { image_urls: urls } = body as { image_urls: string[] };
	return await Promise.all(
		urls.map(async (url) => {
			const response = await fetch(url);
			const content = Buffer.from(await response.arrayBuffer());
			return { type: response.headers.get('content-type'), content };
		}),
	);
}
