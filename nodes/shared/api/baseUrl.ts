/** The hosts that plain http is good enough for: this machine's own (RFC 6761, RFC 1122, RFC 4291). */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** A base URL that the key may be sent to, or why it may not. */
export type CheckedBaseUrl = { url: URL } | { reason: string };

/**
 * Reads the credential's base URL. The key is only ever sent over https, except to this machine
 * itself, where an emulator or a tunnel may listen.
 */
export function checkBaseUrl(baseUrl: string): CheckedBaseUrl {
	if (!URL.canParse(baseUrl)) return { reason: 'is not an address' };
	const url = new URL(baseUrl);
	if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.test(url.hostname))) {
		return { reason: 'must start with https:// (http:// is allowed for this machine only)' };
	}
	if (url.username !== '' || url.password !== '') {
		return { reason: 'must not hold a user name or password' };
	}
	if (url.search !== '' || url.hash !== '') {
		return { reason: 'must not hold a query or a fragment' };
	}
	if (!url.pathname.endsWith('/')) url.pathname += '/';
	return { url };
}
