import type { INode } from 'n8n-workflow';
import { tinyPicture } from '../../emulator/pictures';
import { openLab, sha256, type Lab } from '../lab';
import {
	chain,
	imageGenerate,
	imageTune,
	manualTrigger,
	oneItem,
	splitOut,
	toFile,
	withCredential,
	workflow,
} from '../workflow';
import { Editor, eventually, spreadOut } from './editor';

const prompt = '={{ $json.prompt }}';
const failing = 'A market #fail-message';
const unfinished = 'A train #never';

let lab: Lab;
let editor: Editor;
beforeAll(async () => {
	lab = await openLab();
	editor = await Editor.open(lab.n8n.url);
});
afterAll(async () => {
	await editor.close();
	await lab.close();
});

/** Runs a node for some prompts by the editor's button, and opens its panel. */
async function run(node: INode, prompts: string[]): Promise<void> {
	const file = workflow(
		'Running',
		chain(manualTrigger(), oneItem('Prompts', { prompt: prompts }), splitOut('prompt'), node),
	);
	const saved = await lab.n8n.createWorkflow(spreadOut(withCredential(file, lab.credential)));
	await editor.openWorkflow(saved);
	await editor.executeWorkflow();
	await editor.openNode(node.name);
}

/** The last job that was started for a prompt. Jobs of one run are started in no certain order. */
function jobIdOf(text: string): string {
	const submit = lab.emulator.submits.findLast(({ fields }) => fields.prompt === text);
	if (submit === undefined) throw new Error(`No job was started for "${text}".`);
	return submit.jobId;
}

it('shows an image of the output', async () => {
	await run(imageGenerate({ prompt }), ['A harbor', 'A train']);
	await editor.viewFile();
	await eventually(async () => {
		expect(await editor.loadedImageWidths()).toHaveLength(1);
	});
});

it('sends a file that is dragged from the input panel', async () => {
	const picture = tinyPicture('dragged', 'png');
	const file = workflow(
		'Dragged',
		chain(
			manualTrigger(),
			oneItem('Picture', { picture: picture.toString('base64') }),
			toFile('picture', 'photo'),
			imageTune({}),
		),
	);
	// Only then n8n shows files among the fields that can be dragged.
	file.settings = { ...file.settings, binaryMode: 'combined' };
	const saved = await lab.n8n.createWorkflow(spreadOut(withCredential(file, lab.credential)));
	await editor.openWorkflow(saved);
	await editor.executeWorkflow();
	await editor.openNode('Tune');
	await editor.drag('photo', 'imageField');
	await editor.executeStep();
	await editor.outputPanel.getByText('1 job started').waitFor();
	const upscaled = lab.emulator.submits.flatMap(({ files }) => files.map((file) => file.sha256));
	expect(upscaled).toEqual([sha256(picture)]);
});

it('keeps a paid image, with its file, that is pinned by the key P on the canvas', async () => {
	const paid = lab.emulator.submits.length;
	const generate = imageGenerate({ prompt: 'A pinned fox' });
	const file = workflow('Pinned', chain(manualTrigger(), generate, imageTune({})));
	const saved = await lab.n8n.createWorkflow(spreadOut(withCredential(file, lab.credential)));
	await editor.openWorkflow(saved);
	await editor.openNode('Generate');
	await editor.executeStep();
	await editor.outputPanel.getByText('select the node, and press P').waitFor();
	await editor.closeNode();
	await editor.pin('Generate');
	await editor.openWorkflow(saved);
	await editor.executeWorkflow();
	const [generated, upscaled, ...more] = lab.emulator.submits.slice(paid);
	expect(more).toEqual([]);
	expect(upscaled?.endpoint).toBe('/public/v1/image-tune/upscale');
	const picture = tinyPicture(`${generated?.jobId}-1.png`, 'png');
	expect(upscaled?.files.map((sent) => sent.sha256)).toEqual([sha256(picture)]);
});

it('shows what became of the jobs above the items', async () => {
	const options = { timeout: 3, onTimeout: 'returnPending' };
	await run(imageGenerate({ prompt, options }), ['A harbor', unfinished]);
	await editor.outputPanel
		.getByText(`1 of 2 jobs is still running: ${jobIdOf(unfinished)}.`)
		.waitFor();
});

it('says in the output panel what went wrong, for which item, and what to do', async () => {
	await run(imageGenerate({ prompt }), ['A harbor', failing]);
	expect(await editor.outputPanel.getByTestId('node-error-message').innerText()).toBe(
		`AetherForge could not finish the job ${jobIdOf(failing)} [item 1]`,
	);
	const advice = editor.outputPanel.getByTestId('node-error-description');
	expect(await advice.isVisible()).toBe(true);
	expect(await advice.innerText()).toMatch(/Try another prompt, model, or reference image\./);
	expect(await editor.canvasNodeHasFailed('Generate')).toBe(true);
});

it('says what is wrong with an item before anything is paid for', async () => {
	const paid = lab.emulator.submits.length;
	await run(imageGenerate({ prompt }), ['A harbor', ' ']);
	expect(await editor.outputPanel.getByTestId('node-error-message').innerText()).toBe(
		'The "Prompt" parameter is empty [item 1]',
	);
	const advice = await editor.outputPanel.getByTestId('node-error-description').innerText();
	expect(advice).toMatch(
		/^Row 2 of the input failed\. Enter some text in "Prompt"\..* No job was started, and nothing was charged\.$/,
	);
	expect(lab.emulator.submits).toHaveLength(paid);
});

it('shows a failed item on its own line, with the reason, when the workflow continues', async () => {
	await run(imageGenerate({ prompt }, { onError: 'continueRegularOutput' }), ['A harbor', failing]);
	await editor.showOutputAs('table');
	const lines = editor.outputPanel.locator('tbody tr');
	await lines.nth(1).getByText('AetherForge could not finish the job').waitFor();
	const [finished = '', failed = ''] = await lines.allInnerTexts();
	expect(finished).toContain('Succeed');
	expect(failed).toContain('Try another prompt');
	expect(failed).not.toContain('Succeed');
});

it('sends a failed item down the error branch, and shows it there with its prompt', async () => {
	await run(imageGenerate({ prompt }, { onError: 'continueErrorOutput' }), ['A harbor', failing]);
	await editor.outputPanel.getByText('Success Branch').waitFor();
	await editor.outputPanel.getByText('Error Branch').click();
	await editor.showOutputAs('table');
	const lines = editor.outputPanel.locator('tbody tr');
	await lines.first().getByText('AetherForge could not finish the job').waitFor();
	expect(await lines.allInnerTexts()).toEqual([expect.stringContaining(failing)]);
});
