import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import type { Locator } from 'playwright-core';
import { themes, type Theme } from '../test/e2e/editor/browser';
import { Editor, spreadOut } from '../test/e2e/editor/editor';
import { installCommunityPackage, packRepository } from '../test/e2e/real-n8n/package-tarball';
import type { SavedWorkflow } from '../test/e2e/real-n8n/rest-client';
import { Started } from '../test/e2e/real-n8n/started';
import { chain, effectGenerate, manualTrigger, workflow } from '../test/e2e/workflow';
import { openWorkbench, say } from './workbench';

const outputFolder = resolve(__dirname, '..', 'docs', 'images');
const viewport = { width: 1440, height: 920 };
/** Until the editor's animations have ended. */
const settleMs = 1500;

async function takePictures(
	editor: Editor,
	theme: Theme,
	workflows: ReadonlyMap<string, SavedWorkflow>,
): Promise<void> {
	const saved = (name: string) => {
		const found = workflows.get(name);
		if (found === undefined) throw new Error(`The workflow "${name}" is missing.`);
		return found;
	};
	const save = async (name: string, shown: Locator): Promise<void> => {
		// The pointer would leave a parameter's buttons showing.
		await editor.page.mouse.move(0, 0);
		await editor.page.waitForTimeout(settleMs);
		const path = join(outputFolder, `${name}-${theme}.png`);
		await shown.screenshot({ path });
		say(`  ${name}-${theme}.png, ${Math.ceil((await stat(path)).size / 1024)} KB`);
	};

	await editor.openWorkflow(saved('prompt-to-image'));
	await editor.openNode('Generate images');
	await save('image-generate', editor.settingsPanel);
	await editor.openWorkflow(saved('prompt-to-image'));
	await editor.executeWorkflow();
	await editor.openNode('Generate images');
	await editor.viewFile();
	await editor.dismissNotices();
	await save('execution', editor.nodePanel);

	await editor.page.setViewportSize({ width: 1440, height: 520 });
	await editor.openWorkflow(saved('canvas'));
	await editor.executeWorkflow();
	await editor.dismissNotices();
	await save('canvas', editor.canvas);

	const panels = [
		['image-tune', 'split-into-layers', 'Split into layers'],
		['effect-generate', 'effect', 'Effect'],
		['sprite', 'character-to-sprite-sheet', 'Make sprite', { width: 1440, height: 1260 }],
		['get-job', 'job-id-first-then-get-job', 'Check the job'],
	] as const;
	for (const [name, workflowName, nodeName, size = viewport] of panels) {
		// As tall as the panel is, so that the picture shows all of it.
		await editor.page.setViewportSize(size);
		await editor.openWorkflow(saved(workflowName));
		await editor.openNode(nodeName);
		await save(name, editor.settingsPanel);
	}

	await editor.openWorkflow(saved('prompt-to-image'));
	await editor.openNodesPanel();
	await editor.searchNodes('aetherforge');
	await editor.nodesPanelEntry('AetherForge Get Job').waitFor();
	await save('nodes-panel', editor.nodesPanel);
}

async function main(): Promise<void> {
	const started = new Started();
	try {
		const directory = await mkdtemp(join(tmpdir(), 'aetherforge-pack-'));
		started.add(async () => {
			await rm(directory, { recursive: true, force: true });
		});
		const tarball = await packRepository(directory);
		const { server, examples, save } = await openWorkbench({
			installNodes: async (nodesDirectory) =>
				await installCommunityPackage(tarball, nodesDirectory),
			onStarted: started.add,
		});
		// No example has an effect.
		const description = 'Blue magic explosion with sparks';
		const effect = workflow('Effect', chain(manualTrigger(), effectGenerate({ description })));
		const workflows = new Map(examples).set('effect', await save(spreadOut(effect)));
		// The canvas itself, without the note that explains the example.
		const chained = examples.get('character-to-sprite-sheet');
		if (chained === undefined) throw new Error('The example of the canvas is missing.');
		const { name, nodes, connections } = chained;
		const shown = nodes.filter(({ type }) => type !== 'n8n-nodes-base.stickyNote');
		workflows.set('canvas', await save({ name, nodes: shown, connections, settings: {} }));
		await mkdir(outputFolder, { recursive: true });
		for (const theme of themes) {
			const editor = await Editor.open(server.url, { theme, viewport });
			started.add(editor.close);
			say(`Pictures of the ${theme} theme, in docs/images:`);
			await takePictures(editor, theme, workflows);
		}
	} finally {
		await started.stopAll();
	}
}

const command = new Command('screenshots')
	.description("Makes the README's pictures from the real editor, in docs/images.")
	.action(main);

command.parseAsync().catch((error: unknown) => {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
});
