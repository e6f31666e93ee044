import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { INPUTS, RESULTS } from '../../nodes/shared/engine/files/download';
import { imageJobProperties } from '../../nodes/shared/properties';
import { PAGES } from '../../scripts/docs';
import { filesIn, root } from './sources';

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const readJson = (file: string): unknown => JSON.parse(read(file));

const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'].concat(
	filesIn(path.join(root, 'docs'))
		.filter((file) => file.endsWith('.md'))
		.map((file) => `docs/${file}`),
);

it.each(Object.entries(PAGES))('docs/%s is what the code says', (name, page) => {
	const written = read(`docs/${name}`).split('\n');
	const stale = page.split('\n').filter((line) => !written.includes(line));
	const gone = written.filter((line) => !page.split('\n').includes(line));
	const advice = 'Run "npm run docs" to write these lines, and take out those:';
	expect({ [advice]: [stale, gone] }).toEqual({ [advice]: [[], []] });
	expect(written.join('\n')).toBe(page);
});

it('README and CONTRIBUTING stay short', () => {
	expect(read('README.md').split('\n').length).toBeLessThanOrEqual(165);
	expect(read('CONTRIBUTING.md').split('\n').length).toBeLessThanOrEqual(120);
});

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
	const relative = pages.flatMap((page) =>
		[...read(page).matchAll(/(?:\]\(|src="|srcset=")(?!https?:)([^)"\s]*)/g)].map(
			([, target = '']) => {
				const [file = '', anchor] = target.split('#');
				const base = file === '' ? page : path.join(path.dirname(page), file);
				return { from: page, file: base, anchor };
			},
		),
	);
	const sources = ['nodes', 'credentials', 'examples'].flatMap((folder) =>
		filesIn(path.join(root, folder)).map((file) => `${folder}/${file}`),
	);
	const absolute = sources.flatMap((from) =>
		[...read(from).matchAll(/github\.com\/aetherforge\/n8n-nodes-aetherforge#([\w-]+)/g)].map(
			([, anchor]) => ({ from, file: 'README.md', anchor }),
		),
	);
	const broken = [...relative, ...absolute].filter(({ file, anchor }) => {
		if (!existsSync(path.join(root, file))) return true;
		return anchor !== undefined && !anchorsIn(file).includes(anchor);
	});
	expect(absolute.length).toBeGreaterThan(5);
	expect(broken).toEqual([]);
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

function presetOf(name: string): unknown {
	const options = imageJobProperties.find((each) => each.name === 'options')?.options ?? [];
	const found = options.find((each) => each.name === name);
	return found && 'default' in found ? found.default : undefined;
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

it.each<[page: string, text: RegExp, ...values: unknown[]]>([
	['README.md', /\(default (\d+)\): if a node's input/, presetOf('maxJobsPerExecution')],
	['README.md', /is not finished after (\d+) seconds/, presetOf('timeout')],
	[
		'README.md',
		/up to (\d+) MB, and results up to (\d+) MB/,
		INPUTS.largestBytes / MEGABYTE,
		RESULTS.largestBytes / MEGABYTE,
	],
	['README.md', /Tested on n8n ([\d.]+), ([\d.]+), and ([\d.]+),/, ...newestFirst],
	['README.md', /With Node\.js ([\d.]+) or newer/, engines.node.replace('>=', '')],
	['CONTRIBUTING.md', /Node\.js ([\d.]+) or newer/, engines.node.replace('>=', '')],
	['docs/emulator.md', /Node\.js ([\d.]+) or newer/, engines.node.replace('>=', '')],
	['docs/install.md', /^\| ([\d.]+) +\| 24[^]*?^\| ([\d.]+) [^]*?^\| ([\d.]+) /m, ...newestFirst],
	[
		'docs/files-and-output.md',
		/An image can have up to (\d+) MB, and its\s+host has (\d+) sec/,
		INPUTS.largestBytes / MEGABYTE,
		INPUTS.longestMs / 1000,
	],
	[
		'docs/benchmarks.md',
		/below the (\d+) kB that/,
		constant('../../test/package/tarball.test.ts', 'MAX_PACKED_BYTES') / 1000,
	],
	['docs/files-and-output.md', /up to (\d+) redirects/, constant('api/fetchFile.ts', 'REDIRECTS')],
	[
		'docs/files-and-output.md',
		/at most (\d+) bytes/,
		constant('engine/files/fileType.ts', 'LONGEST_NAME_BYTES'),
	],
	[
		'docs/files-and-output.md',
		/up to (\d+) MB and take (\d+) min/,
		RESULTS.largestBytes / MEGABYTE,
		RESULTS.longestMs / 60_000,
	],
	['docs/limitations.md', /^- (\d+) URLs are fetched/m, INPUTS.concurrency],
	[
		'docs/retries.md',
		/\((\d+) seconds, plus/,
		constant('api/api.ts', 'SUBMIT_ANSWER_LIMIT_MS') / 1000,
	],
	['docs/retries.md', /After (\d+) unknown outcomes/, constant(SUBMIT, 'MOST_UNKNOWN_IN_A_ROW')],
	['docs/retries.md', /newest (\d+) jobs/, constant('engine/jobs/journalRow.ts', 'KEPT_JOBS')],
	[
		'docs/retries.md',
		/up to ([\d,]+)\. MySQL/,
		constant('engine/jobs/journalRow.ts', 'MOST_JOBS').toLocaleString('en'),
	],
	['docs/scaling.md', /Concurrent Jobs\*\* \(default (\d+)\)/, presetOf('maxConcurrentJobs')],
	['docs/scaling.md', /per Execution\*\* \(default (\d+)\)/, presetOf('maxJobsPerExecution')],
	[
		'docs/scaling.md',
		/than (\d+) requests are sent in parallel/,
		constant(SUBMIT, 'CONCURRENT_SUBMITS'),
	],
	['docs/scaling.md', /until (\d+) in a row/, constant(SUBMIT, 'ACCEPTED_IN_A_ROW')],
	['docs/scaling.md', /after (\d+) seconds in which/, constant(SUBMIT, 'BUDGET_MS') / 1000],
	[
		'docs/scaling.md',
		/limited to (\d+) per second/,
		1000 / constant('engine/jobs/poll.ts', 'POLL_SPACING_MS'),
	],
])('%s has the numbers of the code: %s', (page, text, ...values) => {
	const [, ...found] = text.exec(read(page)) ?? [];
	expect(found).toEqual(values.map(String));
});

describe.each(filesIn(path.join(root, 'examples')))('examples/%s', (file) => {
	const workflow = readJson(`examples/${file}`) as {
		name: string;
		nodes: { type: string; credentials?: unknown; parameters: { content?: string } }[];
	};

	it('names nothing of the n8n that it was made in', () => {
		const known = ['name', 'nodes', 'pinData', 'connections', 'active', 'settings'];
		expect(known).toEqual(expect.arrayContaining(Object.keys(workflow)));
		expect(workflow).not.toMatchObject({ active: true });
		expect(workflow.nodes.filter(({ credentials }) => credentials !== undefined)).toEqual([]);
		expect(read(`examples/${file}`)).not.toMatch(/instanceId|cachedResultUrl|"(apiKey|password)"/);
	});

	it('has one name in the editor, on its sticky note, and in docs/examples.md', () => {
		const name = workflow.name.replace('AetherForge: ', '');
		const note = workflow.nodes.find(({ type }) => type.endsWith('stickyNote'));
		expect(note?.parameters.content?.split('\n')[0]).toBe(`## ${name}`);
		expect(read('docs/examples.md')).toContain(`[${name}](../examples/${file})`);
	});
});

it('the publish workflow compares the parameters by a test that exists', () => {
	const [, name = ''] = / -t '([^']+)'/.exec(read('.github/workflows/publish.yml')) ?? [];
	expect(read('test/package/savedWorkflows.test.ts')).toContain(`it('${name}`);
	expect(read('test/package/savedWorkflows.test.ts')).toContain('env.PROMISED_PARAMETERS');
});
