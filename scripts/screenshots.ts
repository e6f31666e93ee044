import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { installCommunityPackage, packRepository } from '../test/e2e/real-n8n/package-tarball';
import { owner, type SavedWorkflow } from '../test/e2e/real-n8n/rest-client';
import { Started } from '../test/e2e/real-n8n/started';
import { openWorkbench, say } from './workbench';

const outputFolder = resolve(__dirname, '..', 'docs', 'images');
const themes = ['light', 'dark'] as const;
const viewport = { width: 1440, height: 780 };
const runTimeoutMs = 60_000;
/** Until the editor's animations have ended. */
const settleMs = 1500;

/** Where the usual installers put Chromium; Playwright's core package brings none. */
const browserPaths = [
	'/usr/bin/chromium',
	'/usr/bin/chromium-browser',
	'/usr/bin/google-chrome',
	'/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

function findBrowser(): string {
	const path = [process.env.CHROMIUM_PATH ?? '', ...browserPaths].find(
		(candidate) => candidate !== '' && existsSync(candidate),
	);
	if (path === undefined) throw new Error('No Chromium found: set CHROMIUM_PATH to its command.');
	return path;
}

async function openWorkflow(page: Page, workflow: SavedWorkflow): Promise<void> {
	await page.goto(`/workflow/${workflow.id}`);
	await canvasNode(page, '').first().waitFor();
	await page.waitForTimeout(settleMs);
}

function canvasNode(page: Page, name: string) {
	return page.locator('[data-test-id="canvas-node"]').filter({ hasText: name });
}

async function save(page: Page, name: string): Promise<void> {
	await page.waitForTimeout(settleMs);
	await page.screenshot({ path: join(outputFolder, `${name}.png`) });
	say(`  docs/images/${name}.png`);
}

async function takePictures(
	context: BrowserContext,
	theme: (typeof themes)[number],
	examples: ReadonlyMap<string, SavedWorkflow>,
): Promise<void> {
	const example = (name: string) => {
		const found = examples.get(name);
		if (found === undefined) throw new Error(`The example "${name}" is missing.`);
		return found;
	};
	const page = await context.newPage();

	await openWorkflow(page, example('prompt-to-image'));
	await page.getByText('Execute workflow').last().click();
	await page.getByText('Workflow executed successfully').waitFor({ timeout: runTimeoutMs });
	await page.locator('.el-notification__closeBtn').first().click();
	await canvasNode(page, 'Generate images').dblclick();
	await page.getByText('View', { exact: true }).first().click();
	await save(page, `image-generate-${theme}`);

	await openWorkflow(page, example('job-id-first-then-get-job'));
	await canvasNode(page, 'Look at the job').dblclick();
	await save(page, `get-job-${theme}`);

	await openWorkflow(page, example('reference-images-to-image'));
	await page.locator('[data-test-id="node-creator-plus-button"]').click();
	await page.getByPlaceholder('Search nodes').fill('aetherforge');
	await save(page, `nodes-panel-${theme}`);
	await page.close();
}

async function main(): Promise<void> {
	const started = new Started();
	try {
		const directory = await mkdtemp(join(tmpdir(), 'aetherforge-pack-'));
		started.add(async () => {
			await rm(directory, { recursive: true, force: true });
		});
		const tarball = await packRepository(directory);
		const { server, examples } = await openWorkbench({
			installNodes: async (nodesDirectory) =>
				await installCommunityPackage(tarball, nodesDirectory),
			onStarted: started.add,
		});
		const browser = await chromium.launch({
			executablePath: findBrowser(),
			args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
		});
		started.add(async () => {
			await browser.close();
		});
		await mkdir(outputFolder, { recursive: true });
		for (const theme of themes) {
			const context = await browser.newContext({
				viewport,
				colorScheme: theme,
				baseURL: server.url,
			});
			await context.addInitScript(`localStorage.setItem('N8N_THEME', '${theme}')`);
			await context.request.post('/rest/login', {
				data: { emailOrLdapLoginId: owner.email, password: owner.password },
			});
			say(`Pictures of the ${theme} theme:`);
			await takePictures(context, theme, examples);
			await context.close();
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
