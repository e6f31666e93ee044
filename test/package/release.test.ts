import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { disagreements, refusals, releaseIn, type Release } from '../../scripts/release';
import { root } from './sources';

interface Outcome {
	succeeds: boolean;
	said: string;
}

/** Runs a command of the checkout with no environment but `env`, so that no CI shows through. */
async function run(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
	return await new Promise((resolve) => {
		const options = { cwd: root, env: { PATH: process.env.PATH, ...env } };
		execFile(command, args, options, (error, stdout, stderr) => {
			resolve({ succeeds: error === null, said: stdout + stderr });
		});
	});
}

describe('version, lockfile, changelog and tag', () => {
	const agreed: Release = {
		version: '1.2.3',
		lockedVersions: ['1.2.3', '1.2.3'],
		changelog: [
			'# Changelog',
			'',
			'## [Unreleased]',
			'',
			'## [1.2.3] - 2026-01-31',
			'',
			'- Something.',
			'',
			'## [1.2.2] - 2026-01-01',
			'',
			'- Something before.',
			'',
		].join('\n'),
		tag: 'v1.2.3',
	};

	it('agree in this checkout', () => {
		expect(disagreements(releaseIn(root))).toEqual([]);
	});

	it('may be released when they agree', () => {
		expect(disagreements(agreed)).toEqual([]);
	});

	it.each<[string, Partial<Release>, string]>([
		['another tag', { tag: 'v1.2.4' }, 'the tag is v1.2.4, package.json has 1.2.3'],
		['a tag without "v"', { tag: '1.2.3' }, 'the tag is 1.2.3, package.json has 1.2.3'],
		[
			'a lockfile left behind',
			{ lockedVersions: ['1.2.3', '1.2.2'] },
			'package-lock.json has 1.2.2, package.json has 1.2.3',
		],
		[
			'a changelog left behind',
			{ changelog: agreed.changelog.replace('[1.2.3]', '[1.2.1]') },
			'CHANGELOG.md ends at 1.2.1, package.json has 1.2.3',
		],
		[
			'a release that is not described',
			{ changelog: agreed.changelog.replace('- Something.', '') },
			'CHANGELOG.md says nothing about 1.2.3',
		],
		[
			'a heading without its date',
			{ changelog: agreed.changelog.replace('## [1.2.2] - 2026-01-01', '## 1.2.2') },
			'CHANGELOG.md: "## 1.2.2" is not a heading like "## [1.2.3] - 2026-01-31"',
		],
		[
			'a first release that is not described',
			{ changelog: '# Changelog\n\n## [Unreleased]\n\n- Something.\n' },
			'CHANGELOG.md has no release',
		],
	])('do not agree with %s', (_, change, sentence) => {
		expect(disagreements({ ...agreed, ...change })).toEqual([sentence]);
	});

	it('may go on without a release before the first', () => {
		const { version, lockedVersions } = agreed;
		const changelog = '# Changelog\n\n## [Unreleased]\n';
		expect(disagreements({ version, lockedVersions, changelog })).toEqual([]);
	});
});

describe('prepublishOnly', () => {
	it.each<[string, NodeJS.ProcessEnv, string]>([
		['outside CI', {}, 'only CI publishes'],
		['in another CI', { CI: 'true', GITHUB_REF_TYPE: 'tag' }, 'only CI publishes'],
		['on a branch', { GITHUB_ACTIONS: 'true', GITHUB_REF_TYPE: 'branch' }, 'only CI publishes'],
		[
			'on the tag of another version',
			{ GITHUB_ACTIONS: 'true', GITHUB_REF_TYPE: 'tag', GITHUB_REF_NAME: 'v999.0.0' },
			'the tag is v999.0.0',
		],
	])('refuses %s', (_, environment, sentence) => {
		expect(refusals(root, environment).join()).toContain(sentence);
	});
});

describe('npm publish', () => {
	let registry: Server;
	let publications: string[];
	let temporary: string;

	beforeAll(async () => {
		registry = createServer((request, response) => {
			if (request.method === 'PUT') publications.push(request.url ?? '');
			request.resume().on('end', () => {
				response.writeHead(request.method === 'PUT' ? 201 : 404).end('{}');
			});
		});
		await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
		temporary = await mkdtemp(path.join(tmpdir(), 'aetherforge-release-'));
	});

	beforeEach(() => {
		publications = [];
	});

	afterAll(async () => {
		registry.closeAllConnections();
		await new Promise((resolve) => registry.close(resolve));
		await rm(temporary, { recursive: true, force: true });
	});

	/** To a registry on this machine, as somebody who is signed in there. */
	async function publish(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
		const host = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
		const userconfig = path.join(temporary, 'npmrc');
		await writeFile(userconfig, `//${host}/:_authToken=somebody\n`);
		return await run('npm', ['publish', '--registry', `http://${host}/`, ...args], {
			HOME: temporary,
			npm_config_userconfig: userconfig,
			npm_config_update_notifier: 'false',
			...env,
		});
	}

	it('is refused by npm itself outside CI, where no provenance can be had', async () => {
		const { succeeds, said } = await publish([]);
		expect(said).toContain('provenance');
		expect({ succeeds, publications }).toEqual({ succeeds: false, publications: [] });
	}, 30_000);

	it('is refused by prepublishOnly where npm would not ask for provenance', async () => {
		const { succeeds, said } = await publish(['--ignore-scripts=false', '--provenance=false']);
		expect(said).toContain('Not published: only CI publishes');
		expect({ succeeds, publications }).toEqual({ succeeds: false, publications: [] });
	}, 30_000);

	it('would be seen here: with both guards switched off by hand it goes through', async () => {
		const { succeeds } = await publish(['--ignore-scripts', '--provenance=false']);
		expect({ succeeds, publications }).toEqual({
			succeeds: true,
			publications: ['/n8n-nodes-aetherforge'],
		});
	}, 30_000);
});

const workflows = readdirSync(path.join(root, '.github/workflows')).map((name) => {
	const text = readFileSync(path.join(root, '.github/workflows', name), 'utf8');
	return { name, text, lines: text.split('\n') };
});

it.each(workflows)('$name pins every action to a commit and names its version', ({ lines }) => {
	const uses = lines.filter((line) => /^\s*(- )?uses:/.test(line));
	expect(uses).not.toHaveLength(0);
	for (const line of uses) {
		expect(line).toMatch(/uses: (\.\/\.github\/workflows\/\S+|\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/);
	}
});

it('runs scripts in CI that exist', () => {
	const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
		scripts: Record<string, string>;
	};
	const named = workflows.flatMap(({ text }) =>
		[...text.matchAll(/(?:run: npm run |script: ')([a-z0-9:]+)/g)].map(([, script = '']) => script),
	);
	expect(named).toEqual(expect.arrayContaining(['verify', 'test:e2e', 'test:compat']));
	expect(Object.keys(scripts)).toEqual(expect.arrayContaining(named));
});

it('gives an identity token to the publish job, which npm knows, and to Scorecard alone', () => {
	const names = workflows.filter(({ text }) => text.includes('id-token: write'));
	expect(names.map(({ name }) => name)).toEqual(['publish.yml', 'scorecard.yml']);
});
