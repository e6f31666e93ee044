import { readFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { manifestIn, root, sourcesIn } from '../package/sources';
import { isNewest, jobIds, useLab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import { chain, imageGenerate, isOurs, manualTrigger, workflow } from './workflow';

const lab = useLab(undefined, [beforeAll, afterAll]);

/** The name that saved workflows use, of a node's file or folder. */
function typeOf(path: string): string {
	const name = parse(path).name.replace(/\.node$/, '');
	return `n8n-nodes-aetherforge.${name.charAt(0).toLowerCase()}${name.slice(1)}`;
}

describe('the installed package', () => {
	it('offers its nodes under the names that saved workflows use, each also as a tool', async () => {
		const offered = (await lab.n8n.nodeTypes()).map(({ name }) => name).filter(isOurs);
		const names = manifestIn(root).n8n.nodes.map(typeOf);
		expect(offered.sort()).toEqual(names.flatMap((name) => [name, `${name}Tool`]).sort());
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

// A node can set them from n8n 2.16 on.
if (isNewest) {
	it('an execution lists its jobs in its custom data, and nothing else', async () => {
		const node = imageGenerate({ prompt: 'A lighthouse', jobsPerItem: 2 });
		const { id } = await lab.run(workflow('Two jobs', chain(manualTrigger(), node)));
		// n8n saves them after all the rest.
		const isSaved = ({ customData }: Execution) => Object.keys(customData).length > 0;
		const execution = await lab.n8n.followExecution(id, isSaved);
		const { aetherforge_jobs: listed, ...others } = execution.customData;
		expect(others).toEqual({});
		expect(listed?.split(',').sort()).toEqual(jobIds(execution).sort());
	});
}
