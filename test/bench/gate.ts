import { on, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import type { Execution } from '../e2e/real-n8n/rest-client';
import { chain, manualTrigger, workflow } from '../e2e/workflow';
import { benchNode, withKey, type FreshN8n } from './n8n';
import { startService, type Service } from './service';

/** A place in a workflow where the run waits for the bench, which measures meanwhile. */
export interface Gate {
	/** For the `gate` operation of the bench's node. */
	url: string;
	/**
	 * Waits for the next run to arrive and keeps it there.
	 * @throws Error after the time limit
	 */
	arrival(timeoutMs: number): Promise<Arrival>;
	close(): Promise<void>;
}

export interface Arrival {
	/** The process that runs the workflow. */
	pid: number;
	/** Lets the run go on. */
	open: () => void;
}

/** What one measurement works with. */
export interface Bench {
	n8n: FreshN8n;
	service: Service;
	gate: Gate;
}

const LIMIT_SECONDS = 400;

/** Opens a gate on the loopback interface. */
export async function makeGate(): Promise<Gate> {
	const server = createServer();
	await once(server.listen(0, '127.0.0.1'), 'listening');
	const requests = on(server, 'request');
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
		arrival: async (timeoutMs) => {
			const late = sleep(timeoutMs, undefined, { ref: false });
			const arrived = await Promise.race([requests.next(), late]);
			if (!arrived) throw new Error(`The run did not arrive within ${timeoutMs / 1000} s.`);
			const [request, response] = arrived.value as [IncomingMessage, ServerResponse];
			const { pid } = (await json(request)) as { pid: number };
			return {
				pid,
				open: () => {
					response.setHeader('content-type', 'application/json').end('{}');
				},
			};
		},
		close: async () => {
			server.close();
			server.closeAllConnections();
			await once(server, 'close');
		},
	};
}

/** Measures with a service and a gate that end with the measurement. */
export async function withService<T>(
	n8n: FreshN8n,
	options: Parameters<typeof startService>[0],
	measure: (bench: Bench) => Promise<T>,
): Promise<T> {
	const service = await startService(options);
	const gate = await makeGate();
	try {
		return await measure({ n8n, service, gate });
	} finally {
		await gate.close();
		await service.stop();
	}
}

/**
 * Runs a node on staged items, and looks at n8n's process right before the node and right after it.
 * Nobody asks n8n anything in between, so that nothing but the node takes time or memory.
 *
 * @returns what the second look saw beyond the first
 */
export async function riseDuring(
	{ n8n, service, gate }: Bench,
	[stage, measured]: readonly [INode, INode],
	look: (pid: number, isOver: boolean) => Promise<number>,
): Promise<number> {
	const before = benchNode('Before', 'gate', { url: gate.url });
	const after = benchNode('After', 'gate', { url: gate.url });
	const file = workflow('Bench', chain(manualTrigger(), stage, before, measured, after));
	const executionId = await n8n.start(withKey(file, await n8n.credentialFor(service.apiUrl)));
	const lookAtGate = async (isOver: boolean): Promise<number> => {
		const { pid, open } = await gate.arrival(LIMIT_SECONDS * 1000).catch(async (error: unknown) => {
			const { errorMessage } = await n8n.client.waitForExecution(executionId, 5);
			throw new Error(errorMessage ?? String(error));
		});
		const seen = await look(pid, isOver);
		open();
		return seen;
	};
	const seenBefore = await lookAtGate(false);
	const seenAfter = await lookAtGate(true);
	await succeeded(n8n, executionId);
	return seenAfter - seenBefore;
}

/** @throws Error where an execution ends in anything but success */
export async function succeeded(n8n: FreshN8n, executionId: string): Promise<Execution> {
	const execution = await n8n.client.waitForExecution(executionId, LIMIT_SECONDS);
	if (execution.status !== 'success') throw new Error(execution.errorMessage ?? execution.status);
	return execution;
}
