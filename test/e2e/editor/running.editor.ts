import type { INode } from 'n8n-workflow';
import { tinyPicture } from '../../emulator/pictures';
import { sha256, useLab } from '../lab';
import type { WorkflowFile } from '../real-n8n/rest-client';
import { generateFrom } from '../scenarios';
import {
	chain,
	combined,
	imageGenerate,
	imageTune,
	manualTrigger,
	pictureNodes,
	workflow,
	type NodeSettings,
} from '../workflow';
import { Editor, eventually, spreadOut } from './editor';

const failing = 'A market #fail-message';
const unfinished = 'A train #never';

const lab = useLab();
let editor: Editor;
let opened: Editor | undefined;
beforeEach(async () => {
	opened ??= await Editor.open(lab.n8n.url);
	editor = opened;
});
afterAll(async () => {
	await opened?.close();
});

async function open(file: WorkflowFile): Promise<void> {
	await editor.openWorkflow(await lab.save(spreadOut(file)));
}

/** Runs Image Generate for some prompts by the editor's button, and opens its panel. */
async function run(
	prompts: string[],
	parameters: INode['parameters'] = {},
	settings: NodeSettings = {},
): Promise<void> {
	await open(generateFrom(manualTrigger(), prompts, parameters, settings));
	await editor.executeWorkflow();
	await editor.openNode('Generate');
}

/** The job that was started for a prompt. Jobs of one run are started in no certain order. */
function jobIdOf(text: string): string {
	const submit = lab.emulator.submits.find(({ fields }) => fields.prompt === text);
	if (submit === undefined) throw new Error(`No job was started for "${text}".`);
	return submit.jobId;
}

it('shows an image of the output', async () => {
	await run(['A harbor', 'A train']);
	await editor.viewFile();
	await eventually(async () => {
		const widths = await editor.page.evaluate<number[]>(`
			[...document.querySelectorAll('[data-test-id="output-panel"] img')]
				.map((image) => image.naturalWidth)
		`);
		expect(widths.filter((width) => width > 0)).toHaveLength(1);
	});
});

it('sends a file that is dragged from the input panel', async () => {
	const picture = tinyPicture('dragged', 'png');
	const links = chain(manualTrigger(), ...pictureNodes(picture), imageTune({}));
	// Only then n8n shows files among the fields that can be dragged.
	await open(combined(workflow('Dragged', links)));
	await editor.executeWorkflow();
	await editor.openNode('Tune');
	await editor.drag('photo', 'imageField');
	await editor.executeStep();
	await editor.outputPanel.getByText('1 job started').waitFor();
	const upscaled = lab.emulator.submits.flatMap(({ files }) => files.map((file) => file.sha256));
	expect(upscaled).toEqual([sha256(picture)]);
});

it('keeps a paid image, with its file, that is pinned by the key P on the canvas', async () => {
	const nodes = [imageGenerate({ prompt: 'A pinned fox' }), imageTune({})];
	const file = workflow('Pinned', chain(manualTrigger(), ...nodes));
	const saved = await lab.save(spreadOut(file));
	await editor.openWorkflow(saved);
	await editor.openNode('Generate');
	await editor.executeStep();
	await editor.outputPanel.getByText('select the node, and press P').waitFor();
	await editor.closeNode();
	await editor.pin('Generate');
	await editor.openWorkflow(saved);
	await editor.executeWorkflow();
	const [generated, upscaled, ...more] = lab.emulator.submits;
	expect(more).toEqual([]);
	expect(upscaled?.endpoint).toBe('/public/v1/image-tune/upscale');
	const picture = tinyPicture(`${generated?.jobId}-1.png`, 'png');
	expect(upscaled?.files.map((sent) => sent.sha256)).toEqual([sha256(picture)]);
});

it('shows what became of the jobs above the items', async () => {
	await run(['A harbor', unfinished], { options: { timeout: 3, onTimeout: 'returnPending' } });
	const hint = `1 of 2 jobs is still running: ${jobIdOf(unfinished)}.`;
	await editor.outputPanel.getByText(hint).waitFor();
});

it.each<[string, second: string, paid: number, () => string, RegExp]>([
	[
		'what went wrong with a job',
		failing,
		2,
		() => `AetherForge could not finish the job ${jobIdOf(failing)} [item 1]`,
		/Try another prompt, model, or reference image\./,
	],
	[
		'what is wrong with an item before anything is paid for',
		' ',
		0,
		() => 'The "Prompt" parameter is empty [item 1]',
		/^Row 2 of the input failed\. Enter some text in "Prompt"\..* No job was started, and nothing was charged\.$/,
	],
])('says in the output panel %s, and what to do', async (_, second, paid, message, advice) => {
	await run(['A harbor', second]);
	expect(lab.emulator.submits).toHaveLength(paid);
	const { outputPanel } = editor;
	expect(await outputPanel.getByTestId('node-error-message').innerText()).toBe(message());
	const description = outputPanel.getByTestId('node-error-description');
	expect(await description.isVisible()).toBe(true);
	expect(await description.innerText()).toMatch(advice);
	const mark = editor.canvasNode('Generate').getByTestId('canvas-node-status-mark-error');
	expect(await mark.isVisible()).toBe(true);
});

it('shows a failed item on its own line, with the reason, when the workflow continues', async () => {
	await run(['A harbor', failing], {}, { onError: 'continueRegularOutput' });
	await editor.showOutputAs('table');
	const lines = editor.outputPanel.locator('tbody tr');
	await lines.nth(1).getByText('AetherForge could not finish the job').waitFor();
	const [finished = '', failed = ''] = await lines.allInnerTexts();
	expect(finished).toContain('Succeed');
	expect(failed).toContain('Try another prompt');
	expect(failed).not.toContain('Succeed');
});

it('sends a failed item down the error branch, and shows it there with its prompt', async () => {
	await run(['A harbor', failing], {}, { onError: 'continueErrorOutput' });
	await editor.outputPanel.getByText('Success Branch').waitFor();
	await editor.outputPanel.getByText('Error Branch').click();
	await editor.showOutputAs('table');
	const lines = editor.outputPanel.locator('tbody tr');
	await lines.first().getByText('AetherForge could not finish the job').waitFor();
	expect(await lines.allInnerTexts()).toEqual([expect.stringContaining(failing)]);
});
