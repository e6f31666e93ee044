import { NodeApiError } from 'n8n-workflow';

import { readConnectionFailure } from '../../nodes/shared/api/connection';
import { fakeContext } from './fakeContext';

/** An error as Node.js makes it, with its system call where there is one. */
function errorOf(message: string, code: string, syscall?: string): Error {
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
	const REWORDED = errorOf('No way to the host', '', 'connect');
	const NEVER_BY_WORDS = [
		'connect ECONNREFUSED 10.0.0.1:443',
		'connect ETIMEDOUT 10.0.0.1:443',
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
		new Error('I could not connect ETIMEDOUT'),
		new Error('bad gateway: Invalid header from proxy CONNECT response'),
	];

	it.each([...NEVER, ...NO_HOST, REWORDED, ...NEVER_BY_WORDS])('it was not: %s', (error) => {
		expect(readings(error)).toEqual([true, true, true]);
	});

	it.each(LATER)('it was, and broke later: %s', (error) => {
		expect(readings(error)).toEqual([false, false, false]);
	});

	it('is read as well where n8n has kept nothing but the words and the code', () => {
		const read = ([...NEVER_BY_WORDS, ...LATER] as (Error & { code?: string })[]).map((error) => {
			const answer = { message: error.message, ...(error.code && { code: error.code }) };
			const kept = new NodeApiError(fakeContext({}, {}).getNode(), answer);
			expect(kept).not.toHaveProperty('syscall');
			return [error.message, readConnectionFailure(kept).wasNeverConnected];
		});
		expect(read).toEqual([
			...NEVER_BY_WORDS.map(({ message }) => [message, true]),
			...LATER.map(({ message }) => [message, false]),
		]);
	});

	it('it was not, to a host with several addresses, only if every attempt came to nothing', () => {
		const refused = systemError('connect', 'ECONNREFUSED');
		const timedOut = systemError('read', 'ETIMEDOUT');
		const wasNever = (...errors: Error[]) => {
			// Node.js gives it the first one's code, and no message.
			const { code } = errors[0] as { code?: unknown };
			return readings(Object.assign(new AggregateError(errors), { code }));
		};
		expect(wasNever(refused, systemError('connect', 'EHOSTUNREACH'))).toEqual([true, true, true]);
		expect(wasNever(refused, timedOut)).toEqual([false, false, false]);
		expect(wasNever(timedOut, refused)).toEqual([false, false, false]);
		for (const errors of [[], ['no error']]) {
			expect(readConnectionFailure(new AggregateError(errors)).wasNeverConnected).toBe(false);
		}
	});
});

it.each([0, 2])('knows the words of n8n’s SSRF protection, %i layers deep', (layers) => {
	const words = 'The request was blocked because it resolves to a restricted IP address';
	const blocked = Object.assign(new Error(words), { description: '10.0.0.1' });
	const expected = { wasNeverConnected: true, blocked: '10.0.0.1' };
	expect(readConnectionFailure(wrapped(blocked, layers))).toMatchObject(expected);
	expect(readConnectionFailure(wrapped(new Error(words), layers)).blocked).toBe(words);
	expect(readConnectionFailure(new Error('blocked')).blocked).toBeUndefined();
});

describe('the code and the words of a failed connection', () => {
	it('are those of the outermost error that has any', () => {
		expect(readConnectionFailure(wrapped(systemError('read', 'ECONNRESET'), 2))).toEqual({
			code: 'ECONNRESET',
			message: 'request failed',
			wasNeverConnected: false,
		});
	});

	it('can be had of anything that is thrown', () => {
		expect(readConnectionFailure('gone')).toMatchObject({ message: 'gone' });
		expect(readConnectionFailure({ toString: 0 })).toMatchObject({ message: 'object' });
		const [one, two] = [new Error('one'), new Error('two')];
		Object.assign(one, { cause: two });
		Object.assign(two, { cause: one });
		expect(readConnectionFailure(one)).toMatchObject({ message: 'one' });
		const unknown = { code: 'unknown', wasNeverConnected: false };
		for (const thrown of [undefined, null, 7, 'gone', {}, one]) {
			expect(readConnectionFailure(thrown)).toMatchObject(unknown);
		}
	});
});
