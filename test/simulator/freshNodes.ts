import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';

import * as loaded from './nodes';

type Nodes = typeof loaded;

const load = createRequire(__filename);
let run:
	((exports: object, require: NodeJS.Require, module: { exports: object }) => void) | undefined;

/**
 * The nodes as a process of n8n that has just started has them: whatever their modules hold is gone with
 * the process before. Where they are no bundle of their own, as under jest, they are always the same.
 */
export function freshNodes(): Nodes {
	const bundle = process.env.SIMULATED_NODES;
	if (bundle === undefined) return loaded;
	run ??= compiled(bundle);
	const module = { exports: {} };
	run(module.exports, load, module);
	return module.exports as Nodes;
}

/** As Node.js loads a module, but compiled once for all processes. */
function compiled(bundle: string): NonNullable<typeof run> {
	const code = `(function (exports, require, module) {${readFileSync(bundle, 'utf8')}\n})`;
	return new Script(code, { filename: bundle }).runInThisContext() as NonNullable<typeof run>;
}
