import fc from 'fast-check';
import type { ICredentialDataDecryptedObject, IHttpRequestOptions } from 'n8n-workflow';
import { AetherForgeApi } from '../../credentials/AetherForgeApi.credentials';

const KEY = 'k-123';
const credential = new AetherForgeApi();

async function authenticate(
	options: IHttpRequestOptions & { uri?: unknown },
	data: ICredentialDataDecryptedObject = {},
): Promise<IHttpRequestOptions> {
	if (typeof credential.authenticate !== 'function') throw new Error('not a function');
	return await credential.authenticate(
		{ apiKey: KEY, baseUrl: 'https://api.aetherforgeai.com', ...data },
		options,
	);
}

describe('where the key is sent', () => {
	it.each<[string, IHttpRequestOptions & { uri?: unknown }]>([
		['the base URL', { url: 'https://api.aetherforgeai.com' }],
		['a path below it', { url: 'https://api.aetherforgeai.com/public/v1/job/1?x=2' }],
		['its default port, spelt out', { url: 'https://api.aetherforgeai.com:443/x' }],
		['other letter case', { url: 'HTTPS://API.aetherforgeai.COM/x' }],
		['a path with a base URL', { url: '/x', baseURL: 'https://api.aetherforgeai.com' }],
		['the older name of the address', { url: '', uri: 'https://api.aetherforgeai.com/x' }],
	])('%s', async (_, options) => {
		await expect(authenticate(options)).resolves.toEqual({
			...options,
			headers: { Authorization: `Bearer ${KEY}` },
			disableFollowRedirect: true,
			maxRedirects: 0,
		});
	});

	it.each<[string, IHttpRequestOptions & { uri?: unknown }]>([
		['another host', { url: 'https://evil.example/public/v1/job/1' }],
		['the results’ host', { url: 'https://cdn.aetherforgeai.com/1.png' }],
		['a host below it', { url: 'https://x.api.aetherforgeai.com/' }],
		['a host that starts alike', { url: 'https://api.aetherforgeai.com.evil.example/' }],
		['a user name that looks like it', { url: 'https://api.aetherforgeai.com@evil.example/' }],
		['another port', { url: 'https://api.aetherforgeai.com:8443/' }],
		['plain http', { url: 'http://api.aetherforgeai.com/' }],
		[
			'another host by the older name',
			{ url: 'https://api.aetherforgeai.com/', uri: 'https://evil.example/' },
		],
		['a path with another base URL', { url: '/x', baseURL: 'https://evil.example' }],
		[
			'a whole address in spite of the base URL',
			{ url: 'https://evil.example/', baseURL: 'https://api.aetherforgeai.com' },
		],
		[
			'an address without a scheme',
			{ url: '//evil.example/', baseURL: 'https://api.aetherforgeai.com' },
		],
		['a path without a base URL', { url: '/public/v1/job/1' }],
		['nothing at all', { url: '' }],
	])('not to %s', async (_, options) => {
		const refused = authenticate(options);
		await expect(refused).rejects.toThrow(
			'The AetherForge API key is only sent to https://api.aetherforgeai.com, the Base URL in its credential',
		);
		await expect(refused).rejects.not.toThrow(KEY);
	});

	it('on this machine also over http, and only to the very port', async () => {
		const data = { baseUrl: 'http://127.0.0.1:4010/' };
		await expect(authenticate({ url: 'http://127.0.0.1:4010/x' }, data)).resolves.toHaveProperty(
			'headers.Authorization',
			`Bearer ${KEY}`,
		);
		await expect(authenticate({ url: 'http://127.0.0.1:4011/x' }, data)).rejects.toThrow(
			'only sent',
		);
		await expect(authenticate({ url: 'http://localhost:4010/x' }, data)).rejects.toThrow(
			'only sent',
		);
	});

	it.each([
		['http://api.aetherforgeai.com', 'must start with https://'],
		['', 'is not a valid URL'],
		['https://user:pw@api.aetherforgeai.com', 'must not contain a user name'],
	])('nowhere with the base URL %j', async (baseUrl, reason) => {
		await expect(authenticate({ url: `${baseUrl}/x` }, { baseUrl })).rejects.toThrow(reason);
	});

	it.each([
		['an API key', { apiKey: undefined }, 'The API key in the AetherForge credential is not text'],
		['an API key', { apiKey: 7 }, 'The API key in the AetherForge credential is not text'],
		[
			'a Base URL',
			{ baseUrl: undefined },
			'The Base URL in the AetherForge credential is not text',
		],
		['a Base URL', { baseUrl: 7 }, 'The Base URL in the AetherForge credential is not text'],
	] as [string, ICredentialDataDecryptedObject, string][])(
		'nowhere with an expression for %s that gives no text',
		async (_, data, message) => {
			await expect(authenticate({ url: 'https://api.aetherforgeai.com/x' }, data)).rejects.toThrow(
				message,
			);
		},
	);

	it('to no other origin, whatever the address', async () => {
		await fc.assert(
			fc.asyncProperty(fc.webUrl({ validSchemes: ['http', 'https'] }), async (url) => {
				await expect(authenticate({ url })).rejects.toThrow('only sent');
			}),
		);
	});
});

describe('what is sent', () => {
	const url = 'https://api.aetherforgeai.com/x';

	it('is the key without the blanks that copying may add', async () => {
		const { headers } = await authenticate({ url }, { apiKey: `\t ${KEY} \n` });
		expect(headers).toEqual({ Authorization: `Bearer ${KEY}` });
	});

	it('follows no redirect, even where the request would', async () => {
		const asked = { url, disableFollowRedirect: false, maxRedirects: 21 };
		await expect(authenticate(asked)).resolves.toMatchObject({
			disableFollowRedirect: true,
			maxRedirects: 0,
		});
	});

	it('leaves other headers, and the options that were given, as they are', async () => {
		const given = { url, headers: { Accept: 'application/json' }, method: 'POST' as const };
		const before = structuredClone(given);
		const sent = await authenticate(given);
		expect(sent.headers).toEqual({ Accept: 'application/json', Authorization: `Bearer ${KEY}` });
		expect(given).toEqual(before);
	});
});

describe('what people see', () => {
	it('hides the key, and asks for both', () => {
		expect(
			credential.properties.map(({ name, type, default: preset, required, typeOptions }) => ({
				name,
				type,
				preset,
				required,
				isHidden: typeOptions?.password ?? false,
			})),
		).toEqual([
			{ name: 'apiKey', type: 'string', preset: '', required: true, isHidden: true },
			{
				name: 'baseUrl',
				type: 'string',
				preset: 'https://api.aetherforgeai.com',
				required: true,
				isHidden: false,
			},
		]);
	});
});

describe('the test request', () => {
	it('asks for a job that cannot exist, which costs nothing', () => {
		expect(credential.test.request).toEqual({
			baseURL: '={{$credentials.baseUrl.trim().replace(/\\/+$/, "")}}',
			url: '/public/v1/job/00000000-0000-0000-0000-000000000000',
			disableFollowRedirect: true,
			ignoreHttpStatusErrors: { ignore: true, except: [401, 403, 429, 500, 502, 503, 504] },
		});
	});

	it('tells bad answers apart by their very texts, for older n8n versions, and other servers by what they lack', () => {
		const rules = (credential.test.rules ?? []).map(({ type, properties }) => ({
			type,
			...properties,
		}));
		expect(rules).toEqual([
			{ type: 'responseCode', value: 401, message: 'The API key is wrong or has expired' },
			{
				type: 'responseSuccessBody',
				key: 'detail',
				value: 'Invalid API key',
				message: 'The API key is wrong or has expired',
			},
			{
				type: 'responseSuccessBody',
				key: 'detail',
				value: 'Not Found User',
				message: 'The API key is known, but its account no longer exists',
			},
			{
				type: 'responseSuccessBody',
				key: 'detail',
				value: 'User not found',
				message: 'The API key is known, but its account no longer exists',
			},
			{
				type: 'responseSuccessBody',
				key: 'detail',
				value: 'Not Found',
				message: 'There is no AetherForge API at this Base URL',
			},
			{
				type: 'responseSuccessBody',
				key: 'detail',
				value: undefined,
				message: 'There is no AetherForge API at this Base URL',
			},
		]);
	});
});
