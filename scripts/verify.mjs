// What decides whether n8n would verify this package: the verification scanner's own functions on the
// source and on the packed tarball, and what the tarball holds. Held to no warnings as well as no errors.
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ESLint } from 'eslint';
import { execa } from 'execa';

const MAX_PACKED_BYTES = 70_000;
const SHIPPED =
	/^(package\.json|README\.md|LICENSE|index\.js|dist\/.+(?<!\.(test|spec))\.js|dist\/.+\.svg|dist\/nodes\/.+(\.node|\/__schema__\/.+)\.json)$/;
const RUNTIME_DEPENDENCIES = [
	'dependencies',
	'optionalDependencies',
	'bundleDependencies',
	'bundledDependencies',
];

const root = path.resolve(import.meta.dirname, '..');
const temporary = await mkdtemp(path.join(tmpdir(), 'aetherforge-verify-'));
// The scanner makes a temporary folder as soon as it is imported and never removes it.
process.env.TMPDIR = temporary;
const { analyzePackage, buildScanConfig, SOURCE_FILE_PATTERNS } =
	await import('@n8n/scan-community-package/scanner/scanner.mjs');

/** The scanner's own verdict, which hides warnings, and then its rule set once more with warnings. */
async function scan(directory, patterns) {
	const verdict = await analyzePackage(directory, patterns);
	const eslint = new ESLint({
		cwd: directory,
		allowInlineConfig: false,
		overrideConfigFile: true,
		overrideConfig: await buildScanConfig(),
	});
	const results = await eslint.lintFiles(patterns);
	const messages = results.flatMap(({ filePath, messages }) =>
		messages.map(({ line, column, severity, message, ruleId }) => {
			const place = `${path.relative(directory, filePath)}:${line}:${column}`;
			return `${place} ${severity === 2 ? 'error' : 'warning'} ${message} (${ruleId})`;
		}),
	);
	const count = (key) => results.reduce((sum, result) => sum + result[key], 0);
	const errors = count('errorCount');
	const problems = [...messages];
	if (verdict.passed !== (errors === 0)) problems.push(`scanner: ${verdict.message}`);
	return {
		summary: `${results.length} files, ${errors} errors, ${count('warningCount')} warnings`,
		files: results.map(({ filePath }) => filePath),
		problems,
	};
}

/** `npm run lint` may be stricter than the scanner, never milder. */
async function milderLintRules(files) {
	const scanner = new ESLint({
		cwd: root,
		overrideConfigFile: true,
		overrideConfig: await buildScanConfig(),
	});
	const own = new ESLint({ cwd: root });
	const problems = [];
	for (const file of files) {
		const theirs = (await scanner.calculateConfigForFile(file)).rules;
		const ours = (await own.calculateConfigForFile(file)).rules;
		for (const [rule, setting] of Object.entries(theirs)) {
			if (isDeepStrictEqual(ours[rule], setting)) continue;
			problems.push(`eslint.config.mjs changes ${rule} for ${path.relative(root, file)}`);
		}
	}
	return problems;
}

async function pack() {
	const options = ['--json', '--ignore-scripts', '--pack-destination', temporary];
	const { stdout } = await execa('npm', ['pack', ...options], { cwd: root });
	const [tarball] = JSON.parse(stdout);
	const directory = path.join(temporary, 'package');
	await mkdir(directory);
	await execa('tar', ['-xzf', tarball.filename, '-C', 'package', '--strip-components=1'], {
		cwd: temporary,
	});
	return { ...tarball, directory };
}

async function tarballProblems({ directory, files, size }) {
	const manifest = JSON.parse(await readFile(path.join(directory, 'package.json'), 'utf8'));
	const registered = [...manifest.n8n.nodes, ...manifest.n8n.credentials];
	const shipped = files.map((file) => file.path);
	return [
		...(size > MAX_PACKED_BYTES ? [`packed ${size} bytes, the limit is ${MAX_PACKED_BYTES}`] : []),
		...shipped.filter((file) => !SHIPPED.test(file)).map((file) => `${file} must not be shipped`),
		...[...registered, manifest.main, 'README.md', 'LICENSE']
			.filter((file) => !shipped.includes(file))
			.map((file) => `${file} is missing`),
		...RUNTIME_DEPENDENCIES.filter((key) => key in manifest).map(
			(key) => `package.json has ${key}: n8n installs a community package without any`,
		),
	];
}

function report(title, summary, problems) {
	console.log(`${problems.length === 0 ? '✔' : '✘'} ${title}: ${summary}`);
	for (const problem of problems) console.log(`    ${problem}`);
	if (problems.length > 0) process.exitCode = 1;
}

async function verify() {
	const build = await execa('gulp', ['build', '--silent'], {
		cwd: root,
		preferLocal: true,
		stdio: 'inherit',
		reject: false,
	});
	report('build', 'tsc, icons, codex', build.failed ? ['failed, see above'] : []);
	if (build.failed) return;

	const source = await scan(root, SOURCE_FILE_PATTERNS);
	report('source, n8n scanner', source.summary, source.problems);

	const milder = await milderLintRules(source.files);
	report("lint configuration holds the scanner's rules", `${milder.length} differences`, milder);

	const tarball = await pack();
	const shipped = await scan(tarball.directory, ['**/*.js', 'package.json']);
	report('tarball, n8n scanner', shipped.summary, shipped.problems);

	const { size, unpackedSize, files } = tarball;
	const sizes = `${files.length} files, ${size} bytes packed, ${unpackedSize} unpacked`;
	report('tarball, contents', sizes, await tarballProblems(tarball));
	for (const file of files) console.log(`  ${String(file.size).padStart(8)}  ${file.path}`);
}

try {
	await verify();
} finally {
	await rm(temporary, { recursive: true, force: true });
}
