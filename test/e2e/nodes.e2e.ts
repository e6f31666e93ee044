import { readFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import type { INodeTypeDescription } from 'n8n-workflow';
import { manifestIn, root, sourcesIn } from '../package/sources';
import { until } from './real-n8n/until';
import { expectSuccess, isNewest, jobIds, useLab } from './lab';
import { chain, imageGenerate, isOurs, manualTrigger, workflow } from './workflow';

const lab = useLab(undefined, [beforeAll, afterAll]);

/** The name that saved workflows use, of a node's file or folder. */
function typeOf(path: string): string {
	const name = parse(path).name.replace(/\.node$/, '');
	return `n8n-nodes-aetherforge.${name.charAt(0).toLowerCase()}${name.slice(1)}`;
}

describe('the installed package', () => {
	let ours: INodeTypeDescription[];
	beforeAll(async () => {
		ours = (await lab.n8n.nodeTypes()).filter(({ name }) => isOurs(name));
	});

	it('offers its nodes under the names that saved workflows use, each also as a tool', () => {
		const names = manifestIn(root).n8n.nodes.map(typeOf);
		expect(ours.map(({ name }) => name).sort()).toEqual(
			names.flatMap((name) => [name, `${name}Tool`]).sort(),
		);
	});

	it('tells n8n’s AI builder which node is for what', () => {
		for (const { name, builderHint, properties } of ours) {
			expect([name, builderHint?.searchHint]).toEqual([name, expect.any(String)]);
			const options = properties.find((property) => property.name === 'options')?.options ?? [];
			const hinted = options.filter((option) => 'builderHint' in option).map((each) => each.name);
			expect([name, hinted]).toEqual([name, expect.arrayContaining(['outputItems'])]);
		}
	});

	it('serves an icon for each theme', async () => {
		const addresses = new Set(
			ours.flatMap(({ iconUrl }) => (typeof iconUrl === 'object' ? Object.values(iconUrl) : [])),
		);
		expect(addresses.size).toBe(2);
		for (const address of addresses) {
			const { status, headers } = await fetch(`${lab.n8n.url}/${address}`);
			expect([address, status, headers.get('content-type')]).toEqual([
				address,
				200,
				expect.stringContaining('svg'),
			]);
		}
	});

	it('has the output fields of its nodes where the editor looks for them', async () => {
		const files = sourcesIn('nodes', '.json').filter((file) => file.includes('/__schema__/'));
		for (const file of files) {
			const [, folder = '', , , operation] = file.replace('.json', '').split('/');
			const place = [`${lab.n8n.url}/schemas/${typeOf(folder)}/1.0.0`, operation];
			// The editor asks for them without a session.
			const response = await fetch(`${place.filter(Boolean).join('/')}.json`);
			expect([file, await response.json()]).toEqual([
				file,
				JSON.parse(readFileSync(join(root, file), 'utf8')),
			]);
		}
	});
});

it('an execution lists its jobs in its custom data, where a node can set them (n8n 2.16)', async () => {
	const node = imageGenerate({ prompt: 'A lighthouse', jobsPerItem: 2 });
	const execution = await lab.run(workflow('Two jobs', chain(manualTrigger(), node)));
	expectSuccess(execution);
	const ids = jobIds(execution).sort();
	expect(ids).toHaveLength(2);
	let { customData } = execution;
	// n8n saves them after all the rest.
	const isSaved = async () => {
		({ customData } = await lab.n8n.waitForExecution(execution.id));
		return Object.keys(customData).length > 0;
	};
	if (isNewest) await until(isSaved);
	const { aetherforge_jobs: listed, ...others } = customData;
	expect(others).toEqual({});
	expect(listed?.split(',').sort()).toEqual(isNewest ? ids : undefined);
});
