import fc from 'fast-check';
import { NodeApiError, type INode, type JsonObject } from 'n8n-workflow';
import { readConnectionFailure } from '../../nodes/shared/api/connection';

const NODE: INode = {
	id: 'node',
	name: 'Node',
	type: 'n8n-nodes-aetherforge.imageGenerate',
	typeVersion: 1,
	position: [0, 0],
	parameters: {},
};

/** An error as Node.js makes it for a system call. */
function systemError(syscall: string, code: string): Error {
	return Object.assign(new Error(`${syscall} ${code} 10.0.0.1:443`), { code, syscall });
}

/** An error that has another one for its cause, so many layers deep. */
function wrapped(cause: Error, layers: number): Error {
	return layers === 0 ? cause : new Error('request failed', { cause: wrapped(cause, layers - 1) });
}

/** What n8n makes of an error without keeping it: some versions pass on a plain object. */
function asNodeApiError(error: Error): NodeApiError {
	const { code } = error as { code?: string };
	return new NodeApiError(NODE, {
		message: error.message,
		...(code === undefined ? {} : { code }),
	});
}

describe('a connection that was never established', () => {
	it.each([
		'ECONNREFUSED',
		'EHOSTUNREACH',
		'ENETUNREACH',
		'EADDRNOTAVAIL',
		'ETIMEDOUT',
		'EACCES',
		'ECONNRESET',
	])('is one whose attempt ended with %s, however deep the cause lies', (code) => {
		for (const layers of [0, 1, 4]) {
			const error = wrapped(systemError('connect', code), layers);
			expect(readConnectionFailure(error)).toMatchObject({ code, wasNeverConnected: true });
		}
		// The words are not Node.js' own any more.
		const reworded = Object.assign(new Error('No way to the host'), { code, syscall: 'connect' });
		expect(readConnectionFailure(reworded).wasNeverConnected).toBe(true);
	});

	it.each([
		'ENOTFOUND',
		'EAI_AGAIN',
		'CERT_HAS_EXPIRED',
		'DEPTH_ZERO_SELF_SIGNED_CERT',
		'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
		'ERR_TLS_CERT_ALTNAME_INVALID',
	])('is one for which there is no host, or no trusted one: %s', (code) => {
		const error = Object.assign(new Error('failed'), { code });
		expect(readConnectionFailure(error)).toMatchObject({ code, wasNeverConnected: true });
	});

	it.each([
		'Proxy connection ended before receiving CONNECT response',
		'No header received from proxy CONNECT response',
		'Invalid header from proxy CONNECT response: "x"',
		'Client network socket disconnected before secure TLS connection was established',
		'write EPROTO 0:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../a.c:1:',
	])('is one that ended before there was anything to send through: %s', (message) => {
		const error = Object.assign(new Error(message), { code: 'ECONNRESET' });
		for (const layers of [0, 1, 4]) {
			expect(readConnectionFailure(wrapped(error, layers)).wasNeverConnected).toBe(true);
		}
		expect(readConnectionFailure(asNodeApiError(error)).wasNeverConnected).toBe(true);
	});

	it.each([
		systemError('read', 'ETIMEDOUT'),
		systemError('read', 'ECONNRESET'),
		systemError('write', 'EPIPE'),
		systemError('read', 'EHOSTUNREACH'),
		Object.assign(new Error('timeout of 60000ms exceeded'), { code: 'ECONNABORTED' }),
		Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }),
		Object.assign(new Error('wrong version number'), { code: 'EPROTO', syscall: 'write' }),
		new Error('I could not connect ETIMEDOUT'),
		new Error('bad gateway: Invalid header from proxy CONNECT response'),
	])('is not one that broke later: $message', (error) => {
		for (const layers of [0, 1, 4]) {
			expect(readConnectionFailure(wrapped(error, layers)).wasNeverConnected).toBe(false);
		}
		expect(readConnectionFailure(asNodeApiError(error)).wasNeverConnected).toBe(false);
	});

	it('is one to a host with several addresses only when every attempt came to nothing', () => {
		const attempt = fc
			.constantFrom('ECONNREFUSED', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH')
			.map((code) => ({ isAttempt: true, error: systemError('connect', code) }));
		const other = fc
			.constantFrom('ECONNRESET', 'ETIMEDOUT')
			.map((code) => ({ isAttempt: false, error: systemError('read', code) }));
		fc.assert(
			fc.property(
				fc.array(fc.oneof({ weight: 3, arbitrary: attempt }, other), {
					minLength: 1,
					maxLength: 4,
				}),
				fc.nat({ max: 3 }),
				(parts, layers) => {
					const errors = parts.map(({ error }) => error);
					// Node.js gives it the first one's code, and no message.
					const { code } = errors[0] as { code?: unknown };
					const all = Object.assign(new AggregateError(errors), { code });
					const { wasNeverConnected } = readConnectionFailure(wrapped(all, layers));
					expect(wasNeverConnected).toBe(parts.every(({ isAttempt }) => isAttempt));
				},
			),
		);
		expect(readConnectionFailure(new AggregateError([])).wasNeverConnected).toBe(false);
		expect(readConnectionFailure(new AggregateError(['no error'])).wasNeverConnected).toBe(false);
	});

	it.each(['EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'ETIMEDOUT', 'ECONNREFUSED'])(
		'is told from what n8n keeps of the message: connect %s',
		(code) => {
			const hidden = asNodeApiError(new Error(`connect ${code} 10.0.0.1:443`));
			expect(hidden).not.toHaveProperty('syscall');
			expect(readConnectionFailure(hidden).wasNeverConnected).toBe(true);
			const answer: JsonObject = { message: 'socket hang up', code };
			const later = new NodeApiError(NODE, answer);
			expect(readConnectionFailure(later).wasNeverConnected).toBe(
				['ECONNREFUSED', 'EADDRNOTAVAIL'].includes(code),
			);
		},
	);
});

describe('a request that n8n does not let out', () => {
	const words = 'The request was blocked because it resolves to a restricted IP address';

	it.each<[string, Error]>([
		['the error itself', Object.assign(new Error(words), { description: '10.0.0.1' })],
		['its wrapper', wrapped(Object.assign(new Error(words), { description: '10.0.0.1' }), 2)],
	])('is known by the words of its SSRF protection: %s', (_, error) => {
		expect(readConnectionFailure(error)).toMatchObject({
			wasNeverConnected: true,
			blocked: '10.0.0.1',
		});
	});

	it('is told in those words where n8n gives no details', () => {
		expect(readConnectionFailure(new Error(words)).blocked).toBe(words);
		expect(readConnectionFailure(new Error('blocked')).blocked).toBeUndefined();
	});
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
		expect(readConnectionFailure('gone')).toMatchObject({ code: 'unknown', message: 'gone' });
		expect(readConnectionFailure({ toString: 0 })).toMatchObject({ message: 'object' });
		fc.assert(
			fc.property(fc.anything(), (thrown) => {
				const { code, wasNeverConnected } = readConnectionFailure(thrown);
				expect({ code, wasNeverConnected }).toEqual({ code: 'unknown', wasNeverConnected: false });
			}),
		);
	});

	it('are found even in errors that are each other’s cause', () => {
		const [one, two] = [new Error('one'), new Error('two')];
		one.cause = two;
		two.cause = one;
		expect(readConnectionFailure(one)).toMatchObject({ message: 'one', code: 'unknown' });
	});
});
