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
		['', 'invalid'],
		['api.aetherforgeai.com', 'invalid'],
		['https://', 'invalid'],
		['http://api.aetherforgeai.com', 'insecure'],
		['http://localhost.evil.example', 'insecure'],
		['http://127.0.0.1.evil.example', 'insecure'],
		['http://1270.0.0.1.example', 'insecure'],
		['http://10.0.0.1', 'insecure'],
		['http://0.0.0.0', 'insecure'],
		['http://[::2]', 'insecure'],
		['ftp://api.aetherforgeai.com', 'insecure'],
		['file:///etc/passwd', 'insecure'],
		['javascript:alert(1)', 'insecure'],
		['localhost:4010', 'insecure'],
		['https://user@api.aetherforgeai.com', 'userInfo'],
		['https://:secret@api.aetherforgeai.com', 'userInfo'],
		['https://api.aetherforgeai.com@evil.example', 'userInfo'],
		['https://api.aetherforgeai.com?x=1', 'query'],
		['https://api.aetherforgeai.com/#x', 'query'],
	])('%j is refused: %s', (given, flaw) => {
		expect(checkBaseUrl(given)).toEqual({ flaw });
	});
});
