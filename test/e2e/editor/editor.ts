import { setTimeout as sleep } from 'node:timers/promises';
import { selectors, type Locator, type Page } from 'playwright-core';
import type { SavedWorkflow, WorkflowFile } from '../real-n8n/rest-client';
import { launchBrowser, visitEditor, type Look } from './browser';

selectors.setTestIdAttribute('data-test-id');

/** How long a run of a few quick jobs may take until the editor shows its end. */
const runTimeoutMs = 60_000;
const patienceMs = 15_000;
/** How long the editor may take to load on a machine that is busy with other things. */
const loadTimeoutMs = 40_000;
const usualLook: Look = { theme: 'light', viewport: { width: 1440, height: 900 } };
/** How far nodes are apart, and how many of them are in a row. */
const nodeDistance = { x: 260, y: 200 };
const nodesPerRow = 5;

export type OutputView = 'schema' | 'table' | 'json' | 'binary';

const dropNotedMs = 1000;

/** n8n's editor in a browser, by what a person does in it and sees of it. */
export class Editor {
	constructor(readonly page: Page) {}

	/**
	 * Opens it in a browser of its own, which {@link close} ends.
	 *
	 * @param url origin of the editor.
	 */
	static async open(url: string, look: Partial<Look> = {}): Promise<Editor> {
		const browser = await launchBrowser();
		try {
			const context = await visitEditor(browser, url, { ...usualLook, ...look });
			context.setDefaultTimeout(patienceMs);
			return new Editor(await context.newPage());
		} catch (error) {
			await browser.close();
			throw error;
		}
	}

	readonly close = async (): Promise<void> => {
		await this.page.context().browser()?.close();
	};

	async openWorkflow({ id }: SavedWorkflow): Promise<void> {
		await this.page.goto(`/workflow/${id}`, { timeout: loadTimeoutMs });
		await this.page.getByTestId('canvas-node').first().waitFor({ timeout: loadTimeoutMs });
	}

	/** Where the nodes are, without n8n's menus around it. */
	get canvas(): Locator {
		return this.page.locator('.vue-flow');
	}

	canvasNode(name: string): Locator {
		const exactly = this.page.getByText(name, { exact: true });
		return this.page.getByTestId('canvas-node').filter({ has: exactly });
	}

	/** Whether the node is marked on the canvas as one that has failed. */
	async canvasNodeHasFailed(name: string): Promise<boolean> {
		return await this.canvasNode(name).getByTestId('canvas-node-status-mark-error').isVisible();
	}

	/** Runs the workflow by its button, to its end, whichever that is. */
	async executeWorkflow(): Promise<void> {
		await this.page.getByTestId('execute-workflow-button').first().click();
		await this.page
			.getByText(/^(Workflow executed successfully|Problem in node .*)$/)
			.first()
			.waitFor({ timeout: runTimeoutMs });
	}

	/** Opens the panel of a node: input, parameters, output. */
	async openNode(name: string): Promise<void> {
		await this.canvasNode(name).dblclick();
		await this.parameterPanel.waitFor();
	}

	async closeNode(): Promise<void> {
		await this.page.getByTestId('ndv-close-button').click();
		await this.nodePanel.waitFor({ state: 'hidden' });
	}

	/** Pins the output of a node by a key on the canvas, which takes files too, and saves the workflow. */
	async pin(name: string): Promise<void> {
		await this.canvasNode(name).click();
		await this.page.keyboard.press('p');
		const isSaved = this.page.waitForResponse(
			(response) => response.request().method() === 'PATCH' && response.ok(),
		);
		await this.page.keyboard.press('Control+s');
		await isSaved;
	}

	/** The panel of a node as a whole. */
	get nodePanel(): Locator {
		return this.page.getByTestId('ndv');
	}

	/** Its middle column: tabs, "Execute step" and parameters. */
	get settingsPanel(): Locator {
		return this.page.locator('.node-settings');
	}

	get parameterPanel(): Locator {
		return this.page.getByTestId('node-parameters');
	}

	get outputPanel(): Locator {
		return this.page.getByTestId('output-panel');
	}

	parameter(name: string): Locator {
		return this.page.getByTestId(`parameter-input-${name}`);
	}

	/** Whether a parameter's text is longer than the box that it is shown in. */
	async hasScrollbar(parameterName: string): Promise<boolean> {
		return await this.page.evaluate<boolean>(`
			[...document.querySelectorAll('[data-test-id="parameter-input-${parameterName}"] textarea')]
				.some((box) => box.scrollHeight > box.clientHeight)
		`);
	}

	/** The labels of the parameters that are shown, from top to bottom. */
	async labels(): Promise<string[]> {
		// The tab "Settings" has labels of its own, which are there but not shown.
		const texts = this.parameterPanel.locator('[data-test-id="input-label"] label .n8n-text');
		const shown = await texts.filter({ visible: true }).allInnerTexts();
		return shown.map((text) => text.trim());
	}

	/** Chooses an entry of a parameter that is a list. */
	async choose(parameterName: string, entry: string): Promise<void> {
		await this.parameter(parameterName).click();
		await this.page.getByRole('option', { name: entry }).first().click();
	}

	async toggle(parameterName: string): Promise<void> {
		await this.parameter(parameterName).locator('.el-switch').click();
	}

	/** Drags a field of the input panel's schema into a parameter. */
	async drag(fieldName: string, parameterName: string): Promise<void> {
		const field = this.page
			.getByTestId('ndv-input-panel')
			.locator(`[data-target="mappable"][data-name="${fieldName}"]`);
		await field.hover();
		await this.page.mouse.down();
		await this.page.mouse.move(0, 0);
		await this.parameter(parameterName).hover();
		await this.page.mouse.up();
		// The editor notes what was dropped a moment after it shows it.
		await this.page.waitForTimeout(dropNotedMs);
	}

	/** Runs the open node alone, by the button of its panel. */
	async executeStep(): Promise<void> {
		await this.page.getByTestId('node-execute-button').click();
	}

	/** What can be added under Options. */
	async optionsOffered(): Promise<string[]> {
		await this.parameterPanel.getByPlaceholder('Add option').click();
		const entries = this.page.getByRole('option').filter({ visible: true });
		await entries.first().waitFor();
		return await entries.allInnerTexts();
	}

	async openNodesPanel(): Promise<void> {
		await this.page.getByTestId('node-creator-plus-button').click();
	}

	/** Types into the search of the nodes panel; the entries it finds change a moment later. */
	async searchNodes(text: string): Promise<void> {
		await this.page.getByTestId('node-creator-search-bar').fill(text);
	}

	/** What the nodes panel shows where it finds nothing. */
	get nodesPanelIsEmpty(): Locator {
		return this.nodesPanel.getByTestId('node-creator-no-results');
	}

	/** The entries of the nodes panel that have this name. */
	nodesPanelEntry(name: string): Locator {
		const exactly = this.page.getByText(name, { exact: true });
		return this.nodesPanel.getByTestId('item-iterator-item').filter({ has: exactly });
	}

	/** The texts of all entries of the nodes panel; those of the list before fade out for a moment. */
	async nodesPanelEntries(): Promise<string[]> {
		return await this.nodesPanel.getByTestId('item-iterator-item').allInnerTexts();
	}

	get nodesPanel(): Locator {
		return this.page.getByTestId('node-creator');
	}

	/** Shows the first file of the output. */
	async viewFile(): Promise<void> {
		await this.showOutputAs('binary');
		await this.outputPanel.getByTestId('ndv-view-binary-data').first().click();
	}

	/** The widths of the images that the output panel shows, without those that could not be loaded. */
	async loadedImageWidths(): Promise<number[]> {
		return await this.page.evaluate<number[]>(`
			[...document.querySelectorAll('[data-test-id="output-panel"] img')]
				.map((image) => image.naturalWidth)
				.filter((width) => width > 0)
		`);
	}

	async dismissNotices(): Promise<void> {
		const buttons = this.page.locator('.el-notification__closeBtn');
		while ((await buttons.count()) > 0) {
			// One that has closed by itself in the meantime cannot be clicked.
			await buttons
				.first()
				.click({ timeout: 1000 })
				.catch(() => undefined);
		}
	}

	async showOutputAs(view: OutputView): Promise<void> {
		await this.outputPanel.getByTestId(`radio-button-${view}`).click();
	}
}

/** Repeats expectations until they hold; the editor shows what happened a moment later. */
export async function eventually(expectations: () => Promise<void>): Promise<void> {
	const deadline = Date.now() + patienceMs;
	for (;;) {
		try {
			await expectations();
			return;
		} catch (error) {
			if (Date.now() > deadline) throw error;
			await sleep(100);
		}
	}
}

/** The workflow with its nodes side by side: on the canvas, one cannot be opened under another. */
export function spreadOut(file: WorkflowFile): WorkflowFile {
	return {
		...file,
		nodes: file.nodes.map((node, index) => ({
			...node,
			position: [
				(index % nodesPerRow) * nodeDistance.x,
				Math.floor(index / nodesPerRow) * nodeDistance.y,
			],
		})),
	};
}

/** The labels of parameters that are cut off, because the box around them is narrower than they are. */
export async function labelsCutOff(page: Page): Promise<string[]> {
	return await page.evaluate<string[]>(`
		[...document.querySelectorAll('[data-test-id="node-parameters"] label .n8n-text')]
			.filter((text) => {
				const label = text.closest('label');
				for (let box = text; label.contains(box); box = box.parentElement) {
					if (box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== 'visible') {
						return true;
					}
				}
				return false;
			})
			.map((text) => text.innerText.trim())
	`);
}
