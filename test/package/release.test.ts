import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { disagreements, refusals, releaseIn, type Release } from '../../scripts/release';
import { manifestIn, root } from './sources';

describe('version, lockfile, changelog and tag', () => {
	const unreleased = '# Changelog\n\n## [Unreleased]\n\n- Something.\n';
	const changelog = `${unreleased}\n## [1.2.3] - 2026-01-31\n\n- A.\n\n## [1.2.2] - 2026-01-01\n\n- B.\n`;
	const untagged: Release = { version: '1.2.3', lockedVersions: ['1.2.3', '1.2.3'], changelog };
	const agreed: Release = { ...untagged, tag: 'v1.2.3' };
	const changing = (from: string, to: string) => ({ changelog: changelog.replace(from, to) });
	const ON_A_TAG = { GITHUB_ACTIONS: 'true', GITHUB_REF_TYPE: 'tag' };

	it('agree in this checkout, and may be released when they do', () => {
		const agreeing = [releaseIn(root), agreed, { ...untagged, changelog: unreleased }];
		expect(agreeing.map(disagreements)).toEqual([[], [], []]);
	});

	it.each<[Partial<Release>, string]>([
		[{ tag: 'v1.2.4' }, 'the tag is v1.2.4, package.json has 1.2.3'],
		[{ lockedVersions: ['1.2.3', '1.2.2'] }, 'package-lock.json has 1.2.2, package.json has 1.2.3'],
		[changing('[1.2.3]', '[1.2.1]'), 'CHANGELOG.md ends at 1.2.1, package.json has 1.2.3'],
		[changing('- A.', ''), 'CHANGELOG.md says nothing about 1.2.3'],
		[changing('[1.2.2]', '1.2.2'), 'CHANGELOG.md: "## 1.2.2 - 2026-01-01" is not a heading like'],
		[{ changelog: unreleased }, 'CHANGELOG.md has no release'],
	])('do not agree with %j: %s', (change, sentence) => {
		expect(disagreements({ ...agreed, ...change })).toEqual([expect.stringContaining(sentence)]);
	});

	it.each<[NodeJS.ProcessEnv, string]>([
		[{ CI: 'true', GITHUB_REF_TYPE: 'tag' }, 'only CI publishes'],
		[{ GITHUB_ACTIONS: 'true', GITHUB_REF_TYPE: 'branch' }, 'only CI publishes'],
		[{ ...ON_A_TAG, GITHUB_REF_NAME: 'v999.0.0' }, 'the tag is v999.0.0'],
	])('are not published with %j', (environment, sentence) => {
		expect(refusals(root, environment).join()).toContain(sentence);
	});
});

it('npm publish is refused outside CI: npm signs nothing there, and prepublishOnly ends it', async () => {
	expect(manifestIn(root).publishConfig).toEqual({ provenance: true });
	const env = { PATH: process.env.PATH };
	const published = promisify(execFile)('npm', ['run', 'prepublishOnly'], { cwd: root, env });
	await expect(published).rejects.toMatchObject({
		stderr: expect.stringContaining('Not published: only CI publishes') as string,
	});
}, 30_000);

it('names no registry in a lockfile', () => {
	const tests = readdirSync(path.join(root, 'test/e2e')).filter((name) => name.startsWith('n8n-'));
	for (const folder of ['.', ...tests.map((name) => `test/e2e/${name}`)]) {
		const lockfile = readFileSync(path.join(root, folder, 'package-lock.json'), 'utf8');
		expect([folder, ...(lockfile.match(/"resolved": "https?:.+/g) ?? [])]).toEqual([folder]);
	}
});

describe('the workflows of CI', () => {
	const folder = path.join(root, '.github/workflows');
	const textOf = (name: string) => readFileSync(path.join(folder, name), 'utf8');
	const workflows = readdirSync(folder).map((name) => ({ name, text: textOf(name) }));

	it.each(workflows)('$name pins every action to a commit and names its version', ({ text }) => {
		const uses = text.match(/^\s*(- )?uses:.*$/gm) ?? [];
		expect(uses).not.toHaveLength(0);
		const pinned = /uses: (\.\/\.github\/workflows\/\S+|\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/;
		expect(uses.filter((line) => !pinned.test(line))).toEqual([]);
	});

	it('give an identity token to the publish job, which npm knows, and to Scorecard alone', () => {
		const names = workflows.filter(({ text }) => text.includes('id-token: write'));
		expect(names.map(({ name }) => name)).toEqual(['publish.yml', 'scorecard.yml']);
	});
});
