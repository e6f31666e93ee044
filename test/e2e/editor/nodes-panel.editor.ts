import type { Locator } from 'playwright-core';
import { useLab } from '../lab';
import { chain, manualTrigger, noOp, workflow } from '../workflow';
import { themes } from './browser';
import { choicesOf, descriptions } from './descriptions';
import { Editor, eventually, spreadOut } from './editor';

const lab = useLab(undefined, [beforeAll, afterAll]);

let editor: Editor | undefined;
afterEach(async () => {
	await editor?.close();
});

/**
 * Opens the nodes panel on a workflow of its own: n8n keeps one that was changed for the browser that
 * changed it, and others cannot add nodes to it for a while.
 */
async function openNodesPanel(theme: (typeof themes)[number] = 'light'): Promise<Editor> {
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

it.each(themes)('lists every node with its icon, in the %s theme', async (theme) => {
	const { page } = await openNodesPanel(theme);
	for (const { displayName } of descriptions) {
		const entry = await find('aetherforge', displayName);
		const icon = (await entry.locator('img').first().getAttribute('src')) ?? '';
		const file = theme === 'dark' ? /\/aetherforge\.dark\.svg$/ : /\/aetherforge\.svg$/;
		expect([displayName, icon]).toEqual([displayName, expect.stringMatching(file)]);
		const response = await page.request.get(icon);
		expect([response.status(), response.headers()['content-type']]).toEqual([
			200,
			expect.stringContaining('svg'),
		]);
	}
});

it('finds every node by what people call what they look for', async () => {
	await openNodesPanel();
	const types = await lab.n8n.nodeTypes();
	for (const { name, displayName } of descriptions) {
		const type = types.find((each) => each.name === `n8n-nodes-aetherforge.${name}`);
		const aliases = type?.codex?.alias ?? [];
		expect([name, aliases]).toEqual([name, expect.arrayContaining([expect.any(String)])]);
		for (const alias of aliases.slice(-2)) await find(alias, displayName);
	}
});

it.each(descriptions.filter((each) => choicesOf(each, 'operation').length > 0))(
	'lists the actions of $displayName, and opens the last one',
	async (description) => {
		const { displayName, properties } = description;
		const operations = choicesOf(description, 'operation');
		const opened = await openNodesPanel();
		await (await find(displayName, displayName)).click();
		await eventually(async () => {
			// Those of the list before fade out for a moment.
			const entries = opened.nodesPanel.getByTestId('item-iterator-item');
			expect(await entries.allInnerTexts()).toEqual(operations.map(({ action }) => action));
		});
		const last = operations.at(-1);
		await opened.nodesPanelEntry(last?.action ?? '').click();
		const own = properties.find(({ name, displayOptions: { show } = {} }) => {
			const shownFor = show?.operation?.map(String) ?? [];
			return name !== 'toolDescription' && shownFor.join(' ') === String(last?.value);
		});
		await opened.parameter(own?.name ?? '').waitFor();
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
