import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import type { Locator } from 'playwright-core';
import { runCommand, say, withPackage } from '../test/bench/frame';
import { Editor, spreadOut, themes, type Theme } from '../test/e2e/editor/editor';
import type { SavedWorkflow } from '../test/e2e/real-n8n/rest-client';
import { chain, effectGenerate, manualTrigger, workflow } from '../test/e2e/workflow';
import { openWorkbench } from './workbench';

const outputFolder = resolve(__dirname, '..', 'docs', 'images');
const viewport = { width: 1440, height: 920 };
/** Until the editor's animations have ended. */
const settleMs = 1500;

async function takePictures(
	editor: Editor,
	theme: Theme,
	saved: (name: string) => SavedWorkflow,
): Promise<void> {
	const save = async (name: string, shown: Locator, margins = { x: 0, y: 0 }): Promise<void> => {
		// The pointer would leave a parameter's buttons showing.
		await editor.page.mouse.move(0, 0);
		await editor.page.waitForTimeout(settleMs);
		const path = join(outputFolder, `${name}-${theme}.png`);
		const { x, y, width, height } = (await shown.boundingBox()) ?? { x: 0, y: 0, ...viewport };
		const size = { width: width - 2 * margins.x, height: height - 2 * margins.y };
		await editor.page.screenshot({ path, clip: { x: x + margins.x, y: y + margins.y, ...size } });
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
	// The nodes are in its middle.
	await save('canvas', editor.canvas, { x: 130, y: 100 });

	const panels = [
		['image-tune', 'split-into-layers', 'Split into layers'],
		['effect-generate', 'effect', 'Effect', { width: 1440, height: 1060 }],
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
}

async function main(): Promise<void> {
	await withPackage(async (installNodes, started) => {
		const { server, example, save } = await openWorkbench(started, installNodes);
		// No example has an effect.
		const description = 'Blue magic explosion with sparks';
		const effect = workflow('Effect', chain(manualTrigger(), effectGenerate({ description })));
		// The canvas itself, without the note that explains the example.
		const { name, nodes, connections } = example('character-to-sprite-sheet');
		const shown = nodes.filter(({ type }) => type !== 'n8n-nodes-base.stickyNote');
		const more = new Map([
			['effect', await save(spreadOut(effect))],
			['canvas', await save({ name, nodes: shown, connections, settings: {} })],
		]);
		for (const theme of themes) {
			const editor = await Editor.open(server.url, { theme, viewport });
			started.add(editor.close);
			say(`Pictures of the ${theme} theme, in docs/images:`);
			await takePictures(editor, theme, (wanted) => more.get(wanted) ?? example(wanted));
		}
	});
}

runCommand(
	new Command('screenshots')
		.description("Makes the README's pictures from the real editor, in docs/images.")
		.action(main),
);
