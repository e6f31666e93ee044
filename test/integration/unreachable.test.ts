import nock from 'nock';

import { jsonOf } from '../support/items';
import { useScene } from '../support/scene';

// Hosts as no server of these tests can be: without an address, with a bad certificate, or gone in between.

const API = 'https://api.example.test';
const BEHIND = { credential: { baseUrl: API } };
const PATH = '/public/v1/generate/image';
const JOB_ID = '0b5b2f6e-3f0a-4c7a-9a52-3d1f5a7c9e10';

const scene = useScene();

afterEach(() => {
	nock.cleanAll();
});

// Importing nock replaces parts of node:http, which the next file of a worker shares.
afterAll(() => {
	nock.restore();
});

it.each([
	['getaddrinfo ENOTFOUND api.example.test', 'ENOTFOUND', 'host not found', true],
	['getaddrinfo EAI_AGAIN api.example.test', 'EAI_AGAIN', 'the name server does not answer', true],
	['certificate has expired', 'CERT_HAS_EXPIRED', 'certificate has expired', true],
	['connect ETIMEDOUT 10.0.0.1:443', 'ETIMEDOUT', 'no response in time', true],
	['read ECONNRESET', 'ECONNRESET', 'the connection was cut', false],
	['socket hang up', 'ECONNRESET', 'the connection was cut', false],
])('%s (%s) is told as "%s", and free: %s', async (words, code, told, isFree) => {
	let sent = 0;
	const api = nock(API).post(PATH, () => ++sent > 0);
	api.times(9).replyWithError(Object.assign(new Error(words), { code }));
	const first = await scene.generate({}, BEHIND);
	expect(sent).toBe(isFree ? 5 : 1);
	expect(first.error?.description).toContain(`${told} (${code})`);
	expect(first.error?.description).toMatch(isFree ? /nothing was charged/ : /may exist and be/);

	nock.cleanAll();
	nock(API).post(PATH).reply(200, { job_id: JOB_ID });
	const retry = { ...BEHIND, retryOf: first };
	const again = await scene.generate({ waitForCompletion: false }, retry);
	if (isFree) expect(jsonOf(again)).toMatchObject([{ job_id: JOB_ID }]);
	else expect(again.error?.message).toMatch(/^It is not known whether an earlier attempt/);
	expect(nock.isDone()).toBe(isFree);
});
