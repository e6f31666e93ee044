import { on, once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import { chain, manualTrigger, workflow } from '../e2e/workflow';
import { saved, succeeded, type User } from './n8n';
import { benchNode } from './nodes';

const LIMIT_MS = 400_000;

/**
 * Runs a node on staged items, and looks at n8n right before the node and right after it: the run waits
 * at a gate on both sides. Nobody asks n8n anything in between, so that nothing but the node takes time or memory.
 *
 * @returns what the second look saw beyond the first
 */
export async function riseDuring(
	user: User,
	[stage, measured]: readonly [INode, INode],
	look: (when: 'before' | 'after') => Promise<number>,
): Promise<number> {
	const server = createServer();
	await once(server.listen(0, '127.0.0.1'), 'listening');
	const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
	const requests = on(server, 'request');
	const gates = ['Before', 'After'].map((name) => benchNode(name, 'gate', { url }));
	const [before = stage, after = stage] = gates;
	const file = workflow('Bench', chain(manualTrigger(), stage, before, measured, after));
	try {
		const executionId = await user.client.startManually(await saved(user, file), 'Start');
		const seenAtGate = async (when: 'before' | 'after'): Promise<number> => {
			const late = sleep(LIMIT_MS, undefined, { ref: false });
			const arrived = await Promise.race([requests.next(), late]);
			if (!arrived) {
				await succeeded(user, executionId);
				throw new Error(`The run did not arrive within ${LIMIT_MS / 1000} s.`);
			}
			const [, response] = arrived.value as [unknown, ServerResponse];
			const seen = await look(when);
			response.end();
			return seen;
		};
		const seenBefore = await seenAtGate('before');
		const seenAfter = await seenAtGate('after');
		await succeeded(user, executionId);
		return seenAfter - seenBefore;
	} finally {
		server.close();
		server.closeAllConnections();
	}
}
