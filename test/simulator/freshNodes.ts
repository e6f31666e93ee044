import { createRequire } from 'node:module';

import * as loaded from './nodes';

type Nodes = typeof loaded;

const load = createRequire(__filename);

/**
 * The nodes as a process of n8n that has just started has them: whatever their modules hold is gone with
 * the process before. Where they are no bundle of their own, as under jest, they are always the same.
 */
export function freshNodes(): Nodes {
	const bundle = process.env.SIMULATED_NODES;
	if (bundle === undefined) return loaded;
	Reflect.deleteProperty(load.cache, bundle);
	return load(bundle) as Nodes;
}
