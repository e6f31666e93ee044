import { NodeApiError } from 'n8n-workflow';

import { readConnectionFailure } from '../../nodes/shared/api/connection';
import { fakeContext } from './fakeContext';

/** An error as Node.js makes it, with its system call where there is one. */
function errorOf(message: string, code: string, syscall?: string): Error & { code: string } {
	return Object.assign(new Error(message), { code, ...(syscall && { syscall }) });
}

const systemError = (syscall: string, code: string) =>
	errorOf(`${syscall} ${code} 10.0.0.1:443`, code, syscall);

/** An error that has another one for its cause, so many layers deep. */
function wrapped(cause: Error, layers: number): Error {
	return layers === 0 ? cause : new Error('request failed', { cause: wrapped(cause, layers - 1) });
}

/** Whether it was never connected, wherever the cause lies. */
function readings(error: Error): boolean[] {
	const all = [0, 1, 4].map((layers) => wrapped(error, layers));
	return all.map((each) => readConnectionFailure(each).wasNeverConnected);
}

describe('whether a connection was established', () => {
	const NEVER = [
		...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'],
		...['ETIMEDOUT', 'EACCES', 'ECONNRESET'],
	].map((code) => systemError('connect', code));
	const NO_HOST = [
		...['ENOTFOUND', 'EAI_AGAIN', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
		...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID'],
	].map((code) => errorOf(`failed: ${code}`, code));
	const NEVER_BY_WORDS = [
		'Proxy connection ended before receiving CONNECT response',
		'No header received from proxy CONNECT response',
		'Invalid header from proxy CONNECT response: "x"',
		'Client network socket disconnected before secure TLS connection was established',
		'write EPROTO 0:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../a.c:1:',
	].map((message) => errorOf(message, 'ECONNRESET'));
	const LATER = [
		...[systemError('read', 'ETIMEDOUT'), systemError('read', 'ECONNRESET')],
		...[systemError('write', 'EPIPE'), systemError('read', 'EHOSTUNREACH')],
		errorOf('timeout of 60000ms exceeded', 'ECONNABORTED'),
		errorOf('socket hang up', 'ECONNRESET'),
		errorOf('wrong version number', 'EPROTO', 'write'),
		errorOf('I could not connect ETIMEDOUT', ''),
		errorOf('bad gateway: Invalid header from proxy CONNECT response', ''),
	];
	const ALL = [...NEVER, ...NO_HOST, ...NEVER_BY_WORDS, ...LATER];

	const named = ALL.map((error) => ({ message: error.message, code: error.code, error }));

	it.each(named)('is read, also of the words and the code alone: $message', (row) => {
		const { error, message, code } = row;
		const was = !LATER.includes(error);
		expect(readings(error)).toEqual([was, was, was]);
		// All that n8n keeps.
		const kept = new NodeApiError(fakeContext({}, {}).getNode(), { message, code });
		expect(kept).not.toHaveProperty('syscall');
		expect(readConnectionFailure(kept).wasNeverConnected).toBe(was);
	});

	it('it was not, to a host with several addresses, only if every attempt came to nothing', () => {
		const refused = systemError('connect', 'ECONNREFUSED');
		const reworded = errorOf('No way to the host', '', 'connect');
		const timedOut = systemError('read', 'ETIMEDOUT');
		// Node.js gives it the first one's code, and no message.
		const wasNever = (...errors: [{ code?: string }, ...unknown[]]) =>
			readings(Object.assign(new AggregateError(errors), { code: errors[0].code }));
		expect(wasNever(refused, reworded)).toEqual([true, true, true]);
		for (const later of [wasNever(refused, timedOut), wasNever(timedOut, refused)]) {
			expect(later).toEqual([false, false, false]);
		}
		expect(readings(new AggregateError([]))).toEqual([false, false, false]);
	});
});

it('gives the code and the words of the outermost error that has any, whatever is thrown', () => {
	const circular = new Error('one');
	circular.cause = new Error('two', { cause: circular });
	const words = [wrapped(systemError('read', 'EPIPE'), 2), circular, 'gone', { toString: 0 }, null]
		.map(readConnectionFailure)
		.map(({ code, message }) => `${code}: ${message}`);
	const expected = ['EPIPE: request failed', 'unknown: one', 'unknown: gone', 'unknown: object'];
	expect(words).toEqual([...expected, 'unknown: object']);
});
