import path from 'node:path';
import type { INodeType } from 'n8n-workflow';

import type { Endpoint } from '../../nodes/shared/endpoint';
import { root, sourcesIn } from '../package/sources';

// What the package has, found in the folders under nodes/: nothing is listed by hand.

/** Every node, by its name. */
export const NODES: Readonly<Record<string, INodeType>> = Object.fromEntries(
	sourcesIn('nodes', '.node.ts').map((file) => {
		const Node = onlyExport(file) as new () => INodeType;
		const node = new Node();
		return [node.description.name, node];
	}),
);

/** Every endpoint that is declared, with its file. */
export const ENDPOINTS = sourcesIn('nodes', '.endpoint.ts').map((file) => ({
	file,
	endpoint: onlyExport(file) as Endpoint,
}));

/** @throws naming the nodes that there are */
export function nodeCalled(name: string): INodeType {
	const node = NODES[name];
	if (node) return node;
	throw new Error(`nodes/ has no node "${name}", but ${Object.keys(NODES).join(', ')}`);
}

/** @throws naming the path that nothing declares */
export function endpointAt(apiPath: string): Endpoint {
	const found = ENDPOINTS.find(({ endpoint }) => endpoint.path === apiPath);
	if (found) return found.endpoint;
	throw new Error(`No *.endpoint.ts under nodes/ declares ${apiPath}`);
}

function onlyExport(file: string): unknown {
	const exported = jest.requireActual<Record<string, unknown>>(path.join(root, file));
	const [only, ...others] = Object.values(exported);
	if (only === undefined || others.length > 0) throw new Error(`${file} does not export one thing`);
	return only;
}
