/** What an error of n8n's HTTP helpers says of the connection. */
export interface ConnectionFailure {
	/** The code of the innermost layer that gives one, `ECONNRESET` for instance, or `unknown`. */
	code: string;
	/** The error's own words. */
	message: string;
	/** Whether the server cannot have seen the request. */
	wasNeverConnected: boolean;
	/** What n8n's SSRF protection says when it has blocked the request, which it never sends. */
	blocked?: string;
}

/**
 * Node's codes for a connection that was never established: refused, no such host or local address,
 * or a certificate that is not trusted. Other TLS codes also occur in mid-connection.
 * @see https://nodejs.org/api/errors.html#common-system-errors
 */
const NEVER_CONNECTED =
	/^(ECONNREFUSED|EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN|CERT_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|ERR_TLS_CERT_ALTNAME_INVALID)$/;

/**
 * How a failed connection attempt is reported by Node.js, by its proxy agent, and by
 * Node.js again where it ended before there was TLS.
 */
const CONNECT_MESSAGE =
	/^connect E[A-Z]+\b|^(Invalid header|No header received) from proxy CONNECT response\b|^Proxy connection ended before receiving CONNECT response$|^Client network socket disconnected before secure TLS connection was established$|^write EPROTO\b.*\bSSL routines:.*:(wrong version number|unsupported protocol|\w+ alert (handshake failure|protocol version))\b/;

/** n8n's own words, since its error types differ between versions and requests. */
const BLOCKED_MESSAGE = 'resolves to a restricted IP address';

const DEEPEST = 5;

/** Reads an error, wherever the n8n version and its HTTP library put the cause. */
export function readConnectionFailure(error: unknown): ConnectionFailure {
	const chain = chainOf(error);
	const texts = chain.flatMap(textsOf);
	const message = texts[0] ?? nameOf(error);
	const code = chain.map(codeOf).find((each) => each !== '') ?? 'unknown';
	const blocked = texts.find((text) => text.includes(BLOCKED_MESSAGE));
	return {
		code,
		message,
		wasNeverConnected:
			blocked !== undefined ||
			(!chain.some(isMixed) && (NEVER_CONNECTED.test(code) || chain.some(isConnectAttempt))),
		...(blocked === undefined
			? {}
			: { blocked: chain.map(descriptionOf).find((each) => each !== '') ?? blocked }),
	};
}

function chainOf(error: unknown): Error[] {
	const chain: Error[] = [];
	for (let at = error; at instanceof Error && chain.length < DEEPEST; at = at.cause) chain.push(at);
	return chain;
}

/** Not everything that can be thrown can be turned into a text. */
function nameOf(error: unknown): string {
	if (error instanceof Error) return error.name;
	return typeof error === 'string' ? error : typeof error;
}

function codeOf(error: Error): string {
	const { httpCode, code } = error as { httpCode?: unknown; code?: unknown };
	if (typeof httpCode === 'string' && httpCode !== '') return httpCode;
	return typeof code === 'string' ? code : '';
}

/** n8n replaces the messages that it knows, and keeps the original ones next to its own. */
function textsOf(error: Error): string[] {
	const { messages } = error as { messages?: unknown };
	const originals: unknown[] = Array.isArray(messages) ? messages : [];
	return [error.message, ...originals].filter(
		(text): text is string => typeof text === 'string' && text !== '',
	);
}

function descriptionOf(error: Error): string {
	const { description } = error as { description?: unknown };
	return typeof description === 'string' ? description : '';
}

/** An error with several causes has the code of the first, which says nothing about the others. */
function isMixed(error: Error): boolean {
	return Array.isArray((error as { errors?: unknown }).errors) && !isConnectAttempt(error);
}

/** A host with several addresses fails with one error for each; all of them have to be attempts. */
function isConnectAttempt(error: Error): boolean {
	const { errors, syscall } = error as { errors?: unknown; syscall?: unknown };
	if (Array.isArray(errors) && errors.length > 0) {
		return errors.every((each) => each instanceof Error && isConnectAttempt(each));
	}
	return syscall === 'connect' || textsOf(error).some((text) => CONNECT_MESSAGE.test(text));
}
