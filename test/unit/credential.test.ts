import type { ICredentialDataDecryptedObject, IHttpRequestOptions } from 'n8n-workflow';

import { AetherForgeApi } from '../../credentials/AetherForgeApi.credentials';
import { checkBaseUrl } from '../../nodes/shared/api/baseUrl';

const KEY = 'k-123';
const API = 'https://api.aetherforgeai.com';
const EVIL = 'https://evil.example';
const credential = new AetherForgeApi();

type Request = IHttpRequestOptions & { uri?: unknown };

async function authenticate(
	options: Request,
	data: ICredentialDataDecryptedObject = {},
): Promise<IHttpRequestOptions> {
	if (typeof credential.authenticate !== 'function') throw new Error('not a function');
	return await credential.authenticate({ apiKey: KEY, baseUrl: API, ...data }, options);
}

describe('the Base URL', () => {
	it.each([
		[API, `${API}/`],
		[` ${API}/\n`, `${API}/`],
		['HTTPS://API.AetherForgeAI.com', `${API}/`],
		['https://proxy.example:8443/a/b', 'https://proxy.example:8443/a/b/'],
		['https://192.168.0.7', 'https://192.168.0.7/'],
		['http://localhost:4010', 'http://localhost:4010/'],
		['http://127.8.9.1', 'http://127.8.9.1/'],
		['http://0x7f.1', 'http://127.0.0.1/'],
		['http://[0:0:0:0:0:0:0:1]', 'http://[::1]/'],
	])('%j is %s', (given, href) => {
		expect(checkBaseUrl(given)).toEqual({ url: new URL(href) });
	});

	it.each([
		['invalid', ['', 'api.aetherforgeai.com', 'https://']],
		['insecure', ['http://api.aetherforgeai.com', 'http://localhost.evil.example']],
		['insecure', ['http://127.0.0.1.evil.example', 'http://10.0.0.1', 'http://0.0.0.0']],
		['insecure', ['http://[::2]', 'file:///etc/passwd', 'javascript:alert(1)', 'localhost:4010']],
		['userInfo', ['https://user@api.example', 'https://:secret@x.example', `${API}@evil.example`]],
		['query', [`${API}?x=1`, `${API}/#x`]],
	])('is refused as %s: %j', (flaw, all) => {
		for (const given of all) expect([given, checkBaseUrl(given)]).toEqual([given, { flaw }]);
	});
});

describe('where the key is sent', () => {
	it.each<[string, Request]>([
		['the base URL', { url: API }],
		['a path below it', { url: `${API}/public/v1/job/1?x=2` }],
		['its default port, in other letter case', { url: 'HTTPS://API.aetherforgeai.COM:443/x' }],
		['a path with a base URL', { url: '/x', baseURL: API }],
		['the older name of the address', { url: '', uri: `${API}/x` }],
		['beside other headers', { url: API, headers: { Accept: 'application/json' } }],
		['not to where a redirect leads', { url: API, disableFollowRedirect: false, maxRedirects: 21 }],
	])('%s, and without blanks', async (_, options) => {
		const before = structuredClone(options);
		await expect(authenticate(options, { apiKey: `\t ${KEY} \n` })).resolves.toEqual({
			...options,
			headers: { ...options.headers, Authorization: `Bearer ${KEY}` },
			disableFollowRedirect: true,
			maxRedirects: 0,
		});
		expect(options).toEqual(before);
	});

	it.each<[string, Request]>([
		['the results’ host', { url: 'https://cdn.aetherforgeai.com/1.png' }],
		['a host below it', { url: 'https://x.api.aetherforgeai.com/' }],
		['a host that starts alike', { url: `${API}.evil.example/` }],
		['a user name that looks like it', { url: `${API}@evil.example/` }],
		['another port', { url: `${API}:8443/` }],
		['plain http', { url: 'http://api.aetherforgeai.com/' }],
		['another host by the older name', { url: `${API}/`, uri: EVIL }],
		['a path with another base URL', { url: '/x', baseURL: EVIL }],
		['a whole address in spite of the base URL', { url: EVIL, baseURL: API }],
		['an address without a scheme', { url: '//evil.example/', baseURL: API }],
		['a path without a base URL', { url: '/public/v1/job/1' }],
		['nothing at all', { url: '' }],
	])('not to %s', async (_, options) => {
		const refused = authenticate(options);
		await expect(refused).rejects.toThrow(
			`The AetherForge API key is only sent to ${API}, the Base URL in its credential`,
		);
		await expect(refused).rejects.not.toThrow(KEY);
	});

	it.each<[ICredentialDataDecryptedObject, string]>([
		[{ baseUrl: 'http://api.aetherforgeai.com' }, 'must start with https://'],
		[{ baseUrl: 7 }, 'The Base URL in the AetherForge credential is not text'],
		[{ apiKey: 7 }, 'The API key in the AetherForge credential is not text'],
	])('nowhere with %j', async (data, message) => {
		await expect(authenticate({ url: `${API}/x` }, data)).rejects.toThrow(message);
	});
});

it('hides the key, and is tested with a job that cannot exist, which costs nothing', () => {
	const [apiKey] = credential.properties;
	expect(apiKey?.typeOptions).toEqual({ password: true });
	const { url } = credential.test.request;
	expect(url).toBe('/public/v1/job/00000000-0000-0000-0000-000000000000');
});
