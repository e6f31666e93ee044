import { ENDPOINT_CASES, type FieldCase } from '../support/endpointCases';
import type { Emulator } from './emulator';
import { tinyPicture } from './pictures';

/** What a client puts into a form: text or files. What is `undefined` is left out. */
export type Sending = Readonly<Record<string, string | readonly Buffer[] | undefined>>;

export interface Reply {
	status: number;
	body: unknown;
}

/** Sends an endpoint its required fields, with a change. */
export async function post(
	emulator: Emulator,
	path: string,
	change: Sending = {},
	key = 'test-key',
): Promise<Reply> {
	const row = ENDPOINT_CASES.find((candidate) => candidate.path === path);
	if (!row) throw new Error(`test/support/endpointCases.ts has no row for ${path}`);
	const needed = row.fields.filter(({ isOptional }) => isOptional !== true);
	const example = Object.fromEntries(needed.map((field) => [field.name, valueOf(field)]));
	const body = new FormData();
	for (const [name, value] of Object.entries<Sending[string]>({ ...example, ...change })) {
		if (typeof value === 'string') body.append(name, value);
		else for (const content of value ?? []) body.append(name, new Blob([content]), `${name}.png`);
	}
	return await asked(emulator.apiUrl + path, key, { method: 'POST', body });
}

function valueOf(field: FieldCase): string | Buffer[] {
	if (field.kind === 'files') return [tinyPicture('example', 'png')];
	if (field.kind === 'table') return '[{"row":1,"title":"Idle","description":"Standing still"}]';
	return 'example' in field ? field.example : String(field.allowed[0]);
}

/** Asks for the state of a job. */
export async function poll(emulator: Emulator, jobId: string, key = 'test-key'): Promise<Reply> {
	return await asked(`${emulator.apiUrl}/public/v1/job/${jobId}`, key);
}

async function asked(url: string, key: string, init: RequestInit = {}): Promise<Reply> {
	const response = await fetch(url, { ...init, headers: { authorization: `Bearer ${key}` } });
	return { status: response.status, body: await response.json() };
}

/** The results of the emulator's last job. */
export async function resultsOf(emulator: Emulator): Promise<{ type: string; content: Buffer }[]> {
	const { jobId = '' } = emulator.submits.at(-1) ?? {};
	emulator.jobs.finish(jobId);
	const { image_urls: urls } = (await poll(emulator, jobId)).body as { image_urls: string[] };
	return await Promise.all(
		urls.map(async (url) => {
			const response = await fetch(url);
			const content = Buffer.from(await response.arrayBuffer());
			return { type: response.headers.get('content-type') ?? '', content };
		}),
	);
}
