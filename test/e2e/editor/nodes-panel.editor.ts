import { openLab, type Lab } from '../lab';
import type { SavedWorkflow } from '../real-n8n/rest-client';
import { chain, manualTrigger, noOp, workflow } from '../workflow';
import type { Theme } from './browser';
import { Editor, eventually, spreadOut } from './editor';

const imageGenerate = 'AetherForge Image Generate';
const getJob = 'AetherForge Get Job';
const imageTune = 'AetherForge Image Tune';
const effectGenerate = 'AetherForge Effect Generate';
const sprite = 'AetherForge Sprite';

let lab: Lab;
beforeAll(async () => {
	lab = await openLab();
});
afterAll(async () => {
	await lab.close();
});

async function newWorkflow(): Promise<SavedWorkflow> {
	const file = workflow('Nodes panel', chain(manualTrigger(), noOp('End')));
	return await lab.n8n.createWorkflow(spreadOut(file));
}

/**
 * Opens the nodes panel on a workflow of its own: n8n keeps one that was changed for the browser that
 * changed it, and others cannot add nodes to it for a while.
 */
async function withNodesPanel(work: (editor: Editor) => Promise<void>): Promise<void> {
	const editor = await Editor.open(lab.n8n.url);
	try {
		await editor.openWorkflow(await newWorkflow());
		await editor.openNodesPanel();
		await work(editor);
	} finally {
		await editor.close();
	}
}

describe.each<[Theme, RegExp]>([
	['light', /\/aetherforge\.svg$/],
	['dark', /\/aetherforge\.dark\.svg$/],
])('in the %s theme', (theme, iconFile) => {
	let editor: Editor;
	beforeAll(async () => {
		editor = await Editor.open(lab.n8n.url, { theme });
		await editor.openWorkflow(await newWorkflow());
		await editor.openNodesPanel();
	});
	afterAll(async () => {
		await editor.close();
	});

	it.each([
		['aetherforge', [imageGenerate, imageTune, effectGenerate, sprite, getJob]],
		['image', [imageGenerate, imageTune]],
		['generate image', [imageGenerate]],
		['ai image', [imageGenerate]],
		['text to image', [imageGenerate]],
		['nano banana', [imageGenerate]],
		['get job', [getJob]],
		['job status', [getJob]],
		['upscale', [imageTune]],
		['enlarge', [imageTune]],
		['inpaint', [imageTune]],
		['remove object', [imageTune]],
		['layers', [imageTune]],
		['effect', [effectGenerate]],
		['sprite', [sprite]],
		['sprite sheet', [sprite]],
		['animation', [sprite]],
		['reskin', [sprite]],
		['game art', [imageGenerate, imageTune, effectGenerate, sprite]],
		...['character', 'concept art', 'texture', 'tileset', 'icon', 'portrait', 'midjourney'].map(
			(words): [string, string[]] => [words, [imageGenerate]],
		),
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

it.each([
	[imageTune, ['Upscale image', 'Inpaint image', 'Split image into layers'], 'keyword'],
	[
		sprite,
		['Make animated sprite', 'Reskin sprite sheet', 'Overlay characters on sprite sheet'],
		'characterImagesFields',
	],
])(
	'lists the actions of %s, %j, and opens the last one with "%s"',
	async (name, actions, parameter) => {
		await withNodesPanel(async (editor) => {
			await editor.searchNodes(name);
			await editor.nodesPanelEntry(name).click();
			await eventually(async () => {
				expect(await editor.nodesPanelEntries()).toEqual(actions);
			});
			await editor.nodesPanelEntry(actions.at(-1) ?? '').click();
			await editor.parameter(parameter).waitFor();
		});
	},
);

it('puts the node on the canvas under its name, with the model below it, and opens it', async () => {
	await withNodesPanel(async (editor) => {
		await editor.searchNodes('generate image');
		await editor.nodesPanelEntry(imageGenerate).click();
		// What n8n shows of a community node first.
		await editor.page.getByRole('button', { name: 'Add to workflow' }).click();
		await editor.parameter('prompt').waitFor();
		await eventually(async () => {
			expect(await editor.canvasNode(imageGenerate).innerText()).toContain('GPT Image 1.5');
		});
	});
});
