import type { INodeParameters } from 'n8n-workflow';
import { tinyPicture } from '../../emulator/pictures';
import { sha256, useLab } from '../lab';
import { generateFrom } from '../scenarios';
import { chain, imageGenerate, imageTune, manualTrigger, workflow } from '../workflow';
import { Editor, spreadOut } from './editor';

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

/** Runs Image Generate for some prompts by the editor's button, and opens its panel. */
async function run(prompts: string[], parameters: INodeParameters = {}): Promise<void> {
	const file = generateFrom(manualTrigger(), prompts, parameters);
	await editor.openWorkflow(await lab.save(spreadOut(file)));
	await editor.executeWorkflow();
	await editor.openNode('Generate');
}

/** The job that was started for a prompt. Jobs of one run are started in no certain order. */
function jobIdOf(text: string): string {
	const submit = lab.emulator.submits.find(({ fields }) => fields.prompt === text);
	if (submit === undefined) throw new Error(`No job was started for "${text}".`);
	return submit.jobId;
}

it('keeps a paid image, with its file, that is pinned by the key P on the canvas', async () => {
	const nodes = [imageGenerate({ prompt: 'A pinned fox' }), imageTune({})];
	const file = workflow('Pinned', chain(manualTrigger(), ...nodes));
	const saved = await lab.save(spreadOut(file));
	await editor.openWorkflow(saved);
	await editor.openNode('Generate');
	await editor.page.getByTestId('node-execute-button').click();
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
