import { on, once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import type { Started } from '../e2e/real-n8n/started';
import { chain, manualTrigger, workflow } from '../e2e/workflow';
import { saved, succeeded, type User } from './n8n';
import { benchNode } from './nodes';

const LIMIT_MS = 400_000;

type Look = (when: 'before' | 'after') => Promise<number>;

/**
 * Nodes for right before and right after a node that is measured: every run waits there until n8n has
 * been looked at. Nobody asks n8n anything in between, so that nothing but the node takes time or memory.
 */
export async function makeGates(started: Started) {
	const server = createServer();
	await once(server.listen(0, '127.0.0.1'), 'listening');
	started.add(() => {
		server.close();
		server.closeAllConnections();
	});
	const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
	const requests = on(server, 'request');
	const seenAtGate = async (when: 'before' | 'after', look: Look): Promise<number> => {
		const late = sleep(LIMIT_MS, undefined, { ref: false });
		const arrived = await Promise.race([requests.next(), late]);
		if (!arrived) throw new Error(`The run did not arrive within ${LIMIT_MS / 1000} s.`);
		const [, response] = arrived.value as [unknown, ServerResponse];
		const seen = await look(when);
		response.end();
		return seen;
	};
	return {
		before: benchNode('Before', 'gate', { url }),
		after: benchNode('After', 'gate', { url }),
		/** What the second look at the next run sees beyond the first. */
		rise: async (look: Look): Promise<number> => {
			const before = await seenAtGate('before', look);
			return (await seenAtGate('after', look)) - before;
		},
	};
}

/** Runs a node on staged items, between gates. */
export async function riseDuring(
	user: User,
	started: Started,
	[stage, measured]: readonly [INode, INode],
	look: Look,
): Promise<number> {
	const { before, after, rise } = await makeGates(started);
	const file = workflow('Bench', chain(manualTrigger(), stage, before, measured, after));
	const executionId = await user.client.startManually(await saved(user, file), 'Start');
	const seen = await rise(look);
	await succeeded(user, executionId);
	return seen;
}
