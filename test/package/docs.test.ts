import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { INodePropertyOptions } from 'n8n-workflow';
import { INPUTS, RESULTS } from '../../nodes/shared/engine/files/download';
import { imageJobProperties } from '../../nodes/shared/properties';
import { PAGES } from '../../scripts/docs';
import { ENDPOINT_CASES } from '../support/endpointCases';
import { NODES } from '../support/nodes';
import { filesIn, root } from './sources';

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const readJson = (file: string): unknown => JSON.parse(read(file));

const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'].concat(
	filesIn(path.join(root, 'docs'))
		.filter((file) => file.endsWith('.md'))
		.map((file) => `docs/${file}`),
);

it.each(Object.entries(PAGES))(
	'docs/%s is what "npm run docs" writes of the code',
	(name, page) => {
		expect(read(`docs/${name}`)).toBe(page);
	},
);

/** A heading's anchor, as GitHub makes it. */
function anchorOf(heading: string): string {
	return heading
		.toLowerCase()
		.replace(/[^\p{L}\p{N}\s_-]/gu, '')
		.trim()
		.replaceAll(' ', '-');
}

function anchorsIn(file: string): string[] {
	return [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));
}

it('links lead to files and headings that exist, from the code as well', () => {
	const targetsIn = (from: string, link: RegExp) =>
		[...read(from).matchAll(link)].map(([, target = '']) => ({ from, target }));
	const relative = pages.flatMap((page) =>
		targetsIn(page, /(?:\]\(|src="|srcset=")(?!https?:)([^)"\s]*)/g),
	);
	const toReadme = ['nodes', 'credentials', 'examples']
		.flatMap((folder) => filesIn(path.join(root, folder)).map((file) => `${folder}/${file}`))
		.flatMap((from) => targetsIn(from, /github\.com\/aetherforge\/n8n-nodes-aetherforge(#[\w-]+)/g))
		.map(({ from, target }) => ({
			from,
			target: path.relative(path.dirname(from), 'README.md') + target,
		}));
	expect(toReadme.length).toBeGreaterThan(5);
	const broken = [...relative, ...toReadme].filter(({ from, target }) => {
		const [name = '', anchor] = target.split('#');
		const file = name === '' ? from : path.join(path.dirname(from), name);
		if (!existsSync(path.join(root, file))) return true;
		return anchor !== undefined && !anchorsIn(file).includes(anchor);
	});
	expect(broken).toEqual([]);
});

it.each(['README.md', 'CHANGELOG.md'])('%s names every node and operation', (page) => {
	const names = Object.values(NODES).flatMap(({ description }) => [
		description.displayName,
		...description.properties
			.filter(({ name }) => name === 'operation')
			.flatMap(({ options }) => (options as INodePropertyOptions[]).map(({ name }) => name)),
	]);
	// In README each has a row of the table.
	const [before, after] = page === 'README.md' ? ['| ', ' '] : ['', ''];
	const text = read(page).replaceAll('**', '');
	expect(names.filter((name) => !text.includes(before + name + after))).toEqual([]);
});

it('docs/api.md has every endpoint', () => {
	const paths = ENDPOINT_CASES.map((row) => row.path.replace('/public/v1/', ''));
	expect(paths.filter((each) => !read('docs/api.md').includes(`\`${each}\``))).toEqual([]);
});

it('names files and commands that exist', () => {
	const { scripts } = readJson('package.json') as { scripts: Record<string, string> };
	const unknown = pages.flatMap((page) => {
		const text = read(page);
		const paths = [...text.matchAll(/`((?:test|scripts|nodes|examples|docs|\.github)\/[^`\s]+)`/g)]
			.map(([, file = '']) => file)
			.filter((file) => !/[<*]/.test(file) && !existsSync(path.join(root, file)));
		const commands = [...text.matchAll(/npm run ([a-z][a-z0-9:]*)/g)]
			.map(([, command = '']) => command)
			.filter((command) => !(command in scripts));
		return [...paths, ...commands].map((name) => `${page}: ${name}`);
	});
	expect(unknown).toEqual([]);
});

/** A number that a file of the engine declares. */
function constant(file: string, name: string): number {
	const [, value = ''] =
		new RegExp(`const ${name} = ([\\d_]+)`).exec(read(`nodes/shared/${file}`)) ?? [];
	return Number(value.replaceAll('_', ''));
}

function presetOf(name: string): number {
	const options = imageJobProperties.find((each) => each.name === 'options')?.options ?? [];
	const found = options.find((each) => each.name === name);
	return Number(found && 'default' in found && found.default);
}

const SUBMIT = 'engine/jobs/submit.ts';
const MEGABYTE = 1_048_576;
const versions = filesIn(path.join(root, 'test/e2e'))
	.filter((file) => /^n8n-[\d.]+\/package\.json$/.test(file))
	.map(
		(file) => (readJson(`test/e2e/${file}`) as { dependencies: { n8n: string } }).dependencies.n8n,
	);
const newestFirst = versions.toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }));
const { engines } = readJson('package.json') as { engines: { node: string } };

const NODE_VERSION = `Node.js ${engines.node.replace('>=', '')} or newer`;
const RESULT_MB = RESULTS.largestBytes / MEGABYTE;
const INPUT_MB = INPUTS.largestBytes / MEGABYTE;
const ANSWER_SECONDS = constant('api/api.ts', 'SUBMIT_ANSWER_LIMIT_MS') / 1000;
const MOST_JOBS = constant('engine/jobs/journalRow.ts', 'MOST_JOBS').toLocaleString('en');
const POLLS_PER_SECOND = 1000 / constant('engine/jobs/poll.ts', 'POLL_SPACING_MS');

it.each<[page: string, ...texts: string[]]>([
	[
		'README.md',
		`(default ${presetOf('maxJobsPerExecution')}): if a node's input`,
		`is not finished after ${presetOf('timeout')} seconds`,
		`up to ${INPUT_MB} MB, and results up to ${RESULT_MB} MB`,
		`Tested on n8n ${newestFirst.slice(0, -1).join(', ')}, and ${newestFirst.at(-1)},`,
		`With ${NODE_VERSION}`,
	],
	['CONTRIBUTING.md', NODE_VERSION],
	['docs/install.md', ...newestFirst.map((version) => `| ${version} `)],
	[
		'docs/files-and-output.md',
		`An image can have up to ${INPUT_MB} MB, and its host has ${INPUTS.longestMs / 1000} sec`,
		`up to ${RESULT_MB} MB and take ${RESULTS.longestMs / 60_000} min`,
	],
	[
		'docs/retries.md',
		`(${ANSWER_SECONDS} seconds, plus`,
		`After ${constant(SUBMIT, 'MOST_UNKNOWN_IN_A_ROW')} unknown outcomes`,
		`newest ${constant('engine/jobs/journalRow.ts', 'KEPT_JOBS')} jobs`,
		`up to ${MOST_JOBS}. MySQL`,
	],
	[
		'docs/scaling.md',
		`Concurrent Jobs** (default ${presetOf('maxConcurrentJobs')})`,
		`per Execution** (default ${presetOf('maxJobsPerExecution')})`,
		`than ${constant(SUBMIT, 'CONCURRENT_SUBMITS')} requests are sent in parallel`,
		`until ${constant(SUBMIT, 'ACCEPTED_IN_A_ROW')} in a row`,
		`after ${constant(SUBMIT, 'BUDGET_MS') / 1000} seconds in which`,
		`limited to ${POLLS_PER_SECOND} per second`,
	],
])('%s has the numbers of the code', (page, ...texts) => {
	const written = read(page).replace(/\s+/g, ' ');
	expect(texts.filter((text) => !written.includes(text))).toEqual([]);
});

it.each(filesIn(path.join(root, 'examples')))(
	'examples/%s names nothing of the n8n that it was made in, and docs/examples.md names it',
	(file) => {
		const text = read(`examples/${file}`);
		const { name, ...workflow } = JSON.parse(text) as { name: string };
		const known = ['nodes', 'pinData', 'connections', 'active', 'settings'];
		expect(known).toEqual(expect.arrayContaining(Object.keys(workflow)));
		expect(text).not.toMatch(
			/"active": true|instanceId|cachedResultUrl|"(apiKey|password|credentials)"/,
		);
		const title = name.replace('AetherForge: ', '');
		expect(read('docs/examples.md')).toContain(`[${title}](../examples/${file})`);
	},
);

it('the publish workflow compares the parameters by a test that exists', () => {
	const [, name = ''] = / -t '([^']+)'/.exec(read('.github/workflows/publish.yml')) ?? [];
	expect(read('test/package/savedWorkflows.test.ts')).toContain(`it('${name}`);
	expect(read('test/package/savedWorkflows.test.ts')).toContain('env.PROMISED_PARAMETERS');
});
