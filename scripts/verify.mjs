// What decides whether n8n would verify this package: the verification scanner's own functions on the
// source and on the packed tarball, held to no warnings as well as no errors. What the tarball holds is
// listed here, and tested in test/package.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ESLint } from 'eslint';
import { execa } from 'execa';

const root = path.resolve(import.meta.dirname, '..');
const temporary = await mkdtemp(path.join(tmpdir(), 'aetherforge-verify-'));
// The scanner makes a temporary folder as soon as it is imported and never removes it.
process.env.TMPDIR = temporary;
const { analyzePackage, buildScanConfig, SOURCE_FILE_PATTERNS } =
	await import('@n8n/scan-community-package/scanner/scanner.mjs');
const scannerConfig = { overrideConfigFile: true, overrideConfig: await buildScanConfig() };

/** The scanner's own verdict, which hides warnings, and then its rule set once more with warnings. */
async function scan(title, directory, patterns) {
	const verdict = await analyzePackage(directory, patterns);
	const eslint = new ESLint({ cwd: directory, allowInlineConfig: false, ...scannerConfig });
	const results = await eslint.lintFiles(patterns);
	const problems = results.flatMap(({ filePath, messages }) =>
		messages.map(({ line, column, severity, message, ruleId }) => {
			const place = `${path.relative(directory, filePath)}:${line}:${column}`;
			return `${place} ${severity === 2 ? 'error' : 'warning'} ${message} (${ruleId})`;
		}),
	);
	const hasErrors = results.some(({ errorCount }) => errorCount > 0);
	if (verdict.passed === hasErrors) problems.push(`scanner: ${verdict.message}`);
	const sign = problems.length === 0 ? '✔' : '✘';
	console.log(`${sign} ${title}: ${results.length} files, ${problems.length} errors and warnings`);
	for (const problem of problems) console.log(`    ${problem}`);
	if (problems.length > 0) process.exitCode = 1;
}

/** Unpacks what would be published. */
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

try {
	const options = { cwd: root, preferLocal: true, stdio: 'inherit' };
	await execa('gulp', ['build', '--silent'], options);
	await scan('source, n8n scanner', root, SOURCE_FILE_PATTERNS);
	const { directory, files, size, unpackedSize } = await pack();
	await scan('tarball, n8n scanner', directory, ['**/*.js', 'package.json']);
	console.log(`${files.length} files, ${size} bytes packed, ${unpackedSize} unpacked`);
	for (const file of files) console.log(`  ${String(file.size).padStart(8)}  ${file.path}`);
} finally {
	await rm(temporary, { recursive: true, force: true });
}
