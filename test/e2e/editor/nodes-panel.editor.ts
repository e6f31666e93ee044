import { openLab, type Lab } from '../lab';
import type { SavedWorkflow } from '../real-n8n/rest-client';
import { chain, manualTrigger, noOp, workflow } from '../workflow';
import type { Theme } from './browser';
import { Editor, eventually, spreadOut } from './editor';

const imageGenerate = 'AetherForge Image Generate';
const getJob = 'AetherForge Get Job';

let lab: Lab;
let saved: SavedWorkflow;
beforeAll(async () => {
	lab = await openLab();
	const file = workflow('Nodes panel', chain(manualTrigger(), noOp('End')));
	saved = await lab.n8n.createWorkflow(spreadOut(file));
});
afterAll(async () => {
	await lab.close();
});

describe.each<[Theme, RegExp]>([
	['light', /\/aetherforge\.svg$/],
	['dark', /\/aetherforge\.dark\.svg$/],
])('in the %s theme', (theme, iconFile) => {
	let editor: Editor;
	beforeAll(async () => {
		editor = await Editor.open(lab.n8n.url, { theme });
		await editor.openWorkflow(saved);
		await editor.openNodesPanel();
	});
	afterAll(async () => {
		await editor.close();
	});

	it.each([
		['aetherforge', [imageGenerate, getJob]],
		['image', [imageGenerate]],
		['generate image', [imageGenerate]],
		['ai image', [imageGenerate]],
		['text to image', [imageGenerate]],
		['nano banana', [imageGenerate]],
		['get job', [getJob]],
		['job status', [getJob]],
	])('finds by "%s": %j', async (words, names) => {
		await editor.searchNodes('what nothing is called');
		await editor.nodesPanelIsEmpty.waitFor();
		await editor.searchNodes(words);
		for (const name of names) {
			const entry = editor.nodesPanelEntry(name);
			await entry.waitFor();
			const icon = (await entry.locator('img').first().getAttribute('src')) ?? '';
			expect(icon).toMatch(iconFile);
			const response = await editor.page.request.get(icon);
			expect([response.status(), response.headers()['content-type']]).toEqual([
				200,
				expect.stringContaining('svg'),
			]);
		}
	});
});

it('puts the node on the canvas under its name, with the model below it, and opens it', async () => {
	const editor = await Editor.open(lab.n8n.url);
	try {
		await editor.openWorkflow(saved);
		await editor.openNodesPanel();
		await editor.searchNodes('generate image');
		await editor.nodesPanelEntry(imageGenerate).click();
		// What n8n shows of a community node first.
		await editor.page.getByRole('button', { name: 'Add to workflow' }).click();
		await editor.parameter('prompt').waitFor();
		await eventually(async () => {
			expect(await editor.canvasNode(imageGenerate).innerText()).toContain('GPT Image 1.5');
		});
	} finally {
		await editor.close();
	}
});
