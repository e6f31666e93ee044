import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';

import * as loaded from './nodes';

const load = createRequire(__filename);
const file = process.env.SIMULATED_NODES;
/** As Node.js loads a module, but compiled once for all processes. */
const script =
	file !== undefined &&
	new Script(`(function (exports, require, module) {${readFileSync(file, 'utf8')}\n})`, {
		filename: file,
	});

/**
 * The nodes as a process of n8n that has just started has them: whatever their modules hold is gone with
 * the process before. Where they are no bundle of their own, as under jest, they are always the same.
 */
export function freshNodes(): typeof loaded {
	if (!script) return loaded;
	const module = { exports: {} };
	const run = script.runInThisContext() as (...given: object[]) => void;
	run(module.exports, load, module);
	return module.exports as typeof loaded;
}
