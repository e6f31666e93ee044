import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { INodeProperties, INodePropertyCollection, INodePropertyOptions } from 'n8n-workflow';

import { AetherForgeApi } from '../../credentials/AetherForgeApi.credentials';
import { NODES } from '../support/nodes';

/**
 * What saved workflows and credentials depend on, a line for each parameter, and for each choice of one.
 * A workflow holds names and values, and leaves out what has its default: whatever changes of these
 * changes it without being edited.
 */
const FILE = process.env.PROMISED_PARAMETERS ?? path.join(__dirname, 'savedWorkflows.json');
const UPDATE = 'UPDATE_PARAMETERS=1 npx jest test/package/savedWorkflows';

/** The lines of parameters; `options.timeout` is one in a collection. */
function linesOf(owner: string, properties: readonly INodeProperties[], prefix = ''): string[] {
	return properties.flatMap(({ name, type, default: preset, options = [] }) => {
		const at = `${prefix}${name}`;
		// What an agent's model is told may be worded better at any time.
		const usual = name === 'toolDescription' ? '(any text)' : JSON.stringify(preset);
		const line = `${owner} ${at}: ${type}, ${usual} by default`;
		const inner = options.flatMap(
			(option: INodePropertyOptions | INodeProperties | INodePropertyCollection) => {
				if ('type' in option) return linesOf(owner, [option], `${at}.`);
				if ('values' in option) return linesOf(owner, option.values, `${at}.${option.name}.`);
				return [`${line}, or ${JSON.stringify(option.value)}`];
			},
		);
		return [line, ...inner];
	});
}

const nodes = Object.values(NODES).map(({ description }) => description);
const current = [...nodes, new AetherForgeApi()]
	.flatMap(({ name, properties }) => linesOf(name, properties))
	.filter((line, index, all) => all.indexOf(line) === index);
const promised = JSON.parse(readFileSync(FILE, 'utf8')) as string[];
const broken = promised.filter((line) => !current.includes(line));

it('keeps the names, types, values and defaults that saved workflows depend on', () => {
	// What is left behind on purpose, before the first release, is taken out of the file by hand.
	expect(broken).toEqual([]);
});

it('lists every parameter, so that what is added is promised from then on', () => {
	if (process.env.UPDATE_PARAMETERS === '1' && broken.length === 0) {
		writeFileSync(FILE, `${JSON.stringify(current, undefined, '\t')}\n`);
		return;
	}
	const added = current.filter((line) => !promised.includes(line));
	expect(added.map((line) => `${line}: new, so run ${UPDATE}`)).toEqual([]);
});
