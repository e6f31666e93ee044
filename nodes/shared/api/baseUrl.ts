import type { BaseUrlFlaw } from '../messages';

/** The hosts for which plain http will do: this machine's own (RFC 6761, RFC 1122, RFC 4291). */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** A base URL that the key may be sent to, or why it may not. */
export type CheckedBaseUrl = { url: URL } | { flaw: BaseUrlFlaw };

/**
 * Reads the credential's base URL. The key is only ever sent over https, except to this machine
 * itself, where an emulator or a tunnel may listen.
 */
export function checkBaseUrl(baseUrl: string): CheckedBaseUrl {
	if (!URL.canParse(baseUrl)) return { flaw: 'invalid' };
	const url = new URL(baseUrl);
	if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.test(url.hostname))) {
		return { flaw: 'insecure' };
	}
	if (url.username !== '' || url.password !== '') {
		return { flaw: 'userInfo' };
	}
	if (url.search !== '' || url.hash !== '') {
		return { flaw: 'query' };
	}
	if (!url.pathname.endsWith('/')) url.pathname += '/';
	return { url };
}
