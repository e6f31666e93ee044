import { existsSync } from 'node:fs';
import { chromium, selectors, type Locator, type Page } from 'playwright-core';
import { owner, type SavedWorkflow, type WorkflowFile } from '../real-n8n/rest-client';
import { until } from '../real-n8n/until';

selectors.setTestIdAttribute('data-test-id');

/** How long a run of a few quick jobs may take until the editor shows its end. */
const runTimeoutMs = 60_000;
const patienceMs = 15_000;
/** How long the editor may take to load on a machine that is busy with other things. */
const loadTimeoutMs = 40_000;
/** How far nodes are apart, and how many of them are in a row. */
const nodeDistance = { x: 260, y: 200 };
const nodesPerRow = 5;

export const themes = ['light', 'dark'] as const;
export type Theme = (typeof themes)[number];

/** How n8n is looked at. */
interface Look {
	theme?: Theme;
	viewport?: { width: number; height: number };
}

/** Where the usual installers put Chromium; Playwright's core package brings none. */
const browserPaths = [
	'/usr/bin/chromium',
	'/usr/bin/chromium-browser',
	'/usr/bin/google-chrome',
	'/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
	'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

/**
 * Finds a Chromium or Chrome of this machine.
 *
 * @throws Error that says how to get one.
 */
export function findBrowser(): string {
	const chosen = process.env.CHROMIUM_PATH ?? '';
	const candidates = chosen === '' ? browserPaths : [chosen];
	const path = candidates.find((candidate) => existsSync(candidate));
	if (path !== undefined) return path;
	throw new Error(
		`No Chromium found: there is no ${candidates.join(', no ')}. Install one (Debian and Ubuntu: ` +
			'apt-get install chromium; macOS: brew install --cask google-chrome), or name the command of ' +
			'the one you have: CHROMIUM_PATH=/path/to/chromium.',
	);
}

/** n8n's editor in a browser, by what a person does in it and sees of it. */
export class Editor {
	constructor(readonly page: Page) {}

	/**
	 * Opens it as n8n's owner, in a browser of its own, which {@link close} ends.
	 *
	 * @param url origin of the editor.
	 */
	static async open(
		url: string,
		{ theme = 'light', viewport = { width: 1440, height: 900 } }: Look = {},
	): Promise<Editor> {
		const browser = await chromium.launch({
			executablePath: findBrowser(),
			args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
		});
		try {
			const context = await browser.newContext({ baseURL: url, viewport, colorScheme: theme });
			await context.addInitScript(`localStorage.setItem('N8N_THEME', '${theme}')`);
			const data = { emailOrLdapLoginId: owner.email, password: owner.password };
			await context.request.post('/rest/login', { data });
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

	/** Runs the workflow by its button, to its end, whichever that is. */
	async executeWorkflow(): Promise<void> {
		await this.page.getByTestId('execute-workflow-button').first().click();
		const ending = /^(Workflow executed successfully|Problem in node .*)$/;
		await this.page.getByText(ending).first().waitFor({ timeout: runTimeoutMs });
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

	/** The labels of the parameters that are shown, from top to bottom. */
	async labels(): Promise<string[]> {
		// The tab "Settings" has labels of its own, which are there but not shown.
		const texts = this.parameterPanel.locator('[data-test-id="input-label"] label .n8n-text');
		const shown = await texts.filter({ visible: true }).allInnerTexts();
		return shown.map((text) => text.trim());
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

	/** The entries of the nodes panel that have this name. */
	nodesPanelEntry(name: string): Locator {
		const exactly = this.page.getByText(name, { exact: true });
		return this.nodesPanel.getByTestId('item-iterator-item').filter({ has: exactly });
	}

	get nodesPanel(): Locator {
		return this.page.getByTestId('node-creator');
	}

	/** Shows the first file of the output. */
	async viewFile(): Promise<void> {
		await this.showOutputAs('binary');
		await this.outputPanel.getByTestId('ndv-view-binary-data').first().click();
	}

	async showOutputAs(view: 'table' | 'binary'): Promise<void> {
		await this.outputPanel.getByTestId(`radio-button-${view}`).click();
	}

	async dismissNotices(): Promise<void> {
		const buttons = this.page.locator('.el-notification__closeBtn');
		while ((await buttons.count()) > 0) {
			// One that has closed by itself in the meantime cannot be clicked.
			const first = buttons.first().click({ timeout: 1000 });
			await first.catch(() => undefined);
		}
	}
}

/** Repeats expectations until they hold; the editor shows what happened a moment later. */
export async function eventually(expectations: () => Promise<void>): Promise<void> {
	await until(async () => await expectations().then(() => true), patienceMs);
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
