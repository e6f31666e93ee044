import { existsSync } from 'node:fs';
import { chromium, type BrowserContext } from 'playwright-core';
import { owner } from '../real-n8n/rest-client';

export const themes = ['light', 'dark'] as const;
export type Theme = (typeof themes)[number];

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

/** How n8n is looked at. */
export interface Look {
	theme: Theme;
	viewport: { width: number; height: number };
}

/**
 * Opens a browser which is signed in to n8n as its owner. Whoever calls this closes its `browser()`.
 *
 * @param url origin of the editor.
 */
export async function visitEditor(url: string, { theme, viewport }: Look): Promise<BrowserContext> {
	const browser = await chromium.launch({
		executablePath: findBrowser(),
		args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
	});
	try {
		const context = await browser.newContext({ baseURL: url, viewport, colorScheme: theme });
		await context.addInitScript(`localStorage.setItem('N8N_THEME', '${theme}')`);
		await context.request.post('/rest/login', {
			data: { emailOrLdapLoginId: owner.email, password: owner.password },
		});
		return context;
	} catch (error) {
		await browser.close();
		throw error;
	}
}
