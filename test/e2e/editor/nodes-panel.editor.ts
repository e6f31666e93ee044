import type { Locator } from 'playwright-core';
import { NODES } from '../../support/nodes';
import { useLab } from '../lab';
import { chain, manualTrigger, noOp, workflow } from '../workflow';
import { Editor, eventually, spreadOut, themes, type Theme } from './editor';

const descriptions = Object.values(NODES).map(({ description }) => description);
const lab = useLab(undefined, [beforeAll, afterAll]);

let editor: Editor | undefined;
afterEach(async () => {
	await editor?.close();
});

/**
 * Opens the nodes panel on a workflow of its own: n8n keeps one that was changed for the browser that
 * changed it, and others cannot add nodes to it for a while.
 */
async function openNodesPanel(theme: Theme = 'light'): Promise<Editor> {
	const file = workflow('Nodes panel', chain(manualTrigger(), noOp('End')));
	const opened = await Editor.open(lab.n8n.url, { theme });
	editor = opened;
	await opened.openWorkflow(await lab.save(spreadOut(file)));
	await opened.openNodesPanel();
	return opened;
}

/** Waits until the panel lists a node. */
async function find(words: string, name: string): Promise<Locator> {
	await editor?.searchNodes('what nothing is called');
	await editor?.nodesPanel.getByTestId('node-creator-no-results').waitFor();
	await editor?.searchNodes(words);
	const entry = editor?.nodesPanelEntry(name);
	await entry?.waitFor();
	if (entry === undefined) throw new Error('The nodes panel is not open.');
	return entry;
}

it.each(themes)(
	'finds every node by other words, with its icon, in the %s theme',
	async (theme) => {
		const { page } = await openNodesPanel(theme);
		const types = await lab.n8n.nodeTypes();
		for (const { name, displayName } of descriptions) {
			const type = types.find((each) => each.name === `n8n-nodes-aetherforge.${name}`);
			const entry = await find(type?.codex?.alias?.at(-1) ?? '', displayName);
			const icon = (await entry.locator('img').first().getAttribute('src')) ?? '';
			const file = theme === 'dark' ? /\/aetherforge\.dark\.svg$/ : /\/aetherforge\.svg$/;
			expect([displayName, icon]).toEqual([displayName, expect.stringMatching(file)]);
			const response = await page.request.get(icon);
			expect(response.headers()['content-type']).toContain('svg');
		}
	},
);

it('puts the node on the canvas under its name, with the model below it, and opens it', async () => {
	const opened = await openNodesPanel();
	const name = 'AetherForge Image Generate';
	await (await find('generate image', name)).click();
	// What n8n shows of a community node first.
	await opened.page.getByRole('button', { name: 'Add to workflow' }).click();
	await opened.parameter('prompt').waitFor();
	await eventually(async () => {
		expect(await opened.canvasNode(name).innerText()).toContain('GPT Image 1.5');
	});
});
