import { checkBaseUrl } from '../../nodes/shared/api/baseUrl';

describe('the base URL of a credential', () => {
	it.each([
		['https://api.aetherforgeai.com', 'https://api.aetherforgeai.com/'],
		['https://api.aetherforgeai.com/', 'https://api.aetherforgeai.com/'],
		[' https://api.aetherforgeai.com\n', 'https://api.aetherforgeai.com/'],
		['HTTPS://API.AetherForgeAI.com', 'https://api.aetherforgeai.com/'],
		['https://proxy.example/aetherforge', 'https://proxy.example/aetherforge/'],
		['https://proxy.example:8443/a/b/', 'https://proxy.example:8443/a/b/'],
		['https://192.168.0.7', 'https://192.168.0.7/'],
		['http://localhost:4010', 'http://localhost:4010/'],
		['http://127.0.0.1:4010', 'http://127.0.0.1:4010/'],
		['http://127.8.9.1', 'http://127.8.9.1/'],
		['http://0x7f.1', 'http://127.0.0.1/'],
		['http://[::1]:4010', 'http://[::1]:4010/'],
		['http://[0:0:0:0:0:0:0:1]', 'http://[::1]/'],
	])('%j is %s', (given, href) => {
		expect(checkBaseUrl(given)).toEqual({ url: new URL(href) });
	});

	it.each([
		['', /not an address/],
		['api.aetherforgeai.com', /not an address/],
		['https://', /not an address/],
		['http://api.aetherforgeai.com', /https/],
		['http://localhost.evil.example', /https/],
		['http://127.0.0.1.evil.example', /https/],
		['http://1270.0.0.1.example', /https/],
		['http://10.0.0.1', /https/],
		['http://0.0.0.0', /https/],
		['http://[::2]', /https/],
		['ftp://api.aetherforgeai.com', /https/],
		['file:///etc/passwd', /https/],
		['javascript:alert(1)', /https/],
		['localhost:4010', /https/],
		['https://user@api.aetherforgeai.com', /user name or password/],
		['https://:secret@api.aetherforgeai.com', /user name or password/],
		['https://api.aetherforgeai.com@evil.example', /user name or password/],
		['https://api.aetherforgeai.com?x=1', /query or a fragment/],
		['https://api.aetherforgeai.com/#x', /query or a fragment/],
	])('%j is refused', (given, reason) => {
		expect(checkBaseUrl(given)).toEqual({ reason: expect.stringMatching(reason) as string });
	});
});
