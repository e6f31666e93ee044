const { spawn } = require('node:child_process');
const { existsSync, mkdtempSync, rmSync } = require('node:fs');
const { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } = require('node:fs/promises');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { transform } = require('esbuild');
const gulp = require('gulp');

const dist = path.resolve(__dirname, process.env.BUILD_TO ?? 'dist');
const sources = ['nodes/**/*.ts', 'credentials/**/*.ts'];
const assets = ['nodes/**/*.svg', 'nodes/**/*.json', 'credentials/**/*.svg'];

// Everything is built here first. dist only ever receives whole files of a build that succeeded: n8n
// reloads a package 100 ms after the first change it sees, and tsc also writes when there are errors.
const stage = mkdtempSync(path.join(tmpdir(), 'aetherforge-build-'));
const next = path.join(stage, 'dist');
process.on('exit', () => rmSync(stage, { recursive: true, force: true }));
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

/** Compiles with the project's own compiler and settings; fails on any type error. */
function compile() {
	const tsc = require.resolve('typescript/bin/tsc');
	const options = ['--outDir', next];
	const incremental = ['--incremental', '--tsBuildInfoFile', path.join(stage, 'tsbuildinfo')];
	return spawn(process.execPath, [tsc, '-p', 'tsconfig.json', ...options, ...incremental], {
		cwd: __dirname,
		stdio: 'inherit',
	});
}

/**
 * Takes out the compiler's indentation, which is 5 % of the package: people read the sources. Fails if
 * that changes what the code does, as within a text of several lines.
 */
async function unindent() {
	const scripts = (await filesIn(next)).filter((file) => file.endsWith('.js'));
	const meaning = async (code) => (await transform(code, { minifyWhitespace: true })).code;
	for (const file of scripts) {
		const script = path.join(next, file);
		const text = await readFile(script, 'utf8');
		const unindented = text.replace(/^[ \t]+/gm, '');
		if ((await meaning(text)) !== (await meaning(unindented))) {
			throw new Error(`${file} has a text whose indentation counts.`);
		}
		await writeFile(script, unindented);
	}
}

/** Copies icons, codex files and output schemas beside the compiled files. */
function copyAssets() {
	// Without `encoding: false` gulp 5 would read every file as UTF-8 text.
	return gulp
		.src(assets, { base: '.', encoding: false })
		.pipe(gulp.dest(next, { encoding: false }));
}

async function filesIn(directory) {
	if (!existsSync(directory)) return [];
	const entries = await readdir(directory, { recursive: true, withFileTypes: true });
	return entries
		.filter((entry) => entry.isFile())
		.map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)));
}

async function isUnchanged(built, target) {
	if (!existsSync(target)) return false;
	const [fresh, current] = await Promise.all([readFile(built), readFile(target)]);
	return fresh.equals(current);
}

/** Brings dist to what was built: changed files are replaced in one step each, stale ones removed. */
async function publish() {
	const built = await filesIn(next);
	for (const file of built) {
		const from = path.join(next, file);
		const target = path.join(dist, file);
		if (await isUnchanged(from, target)) continue;
		await mkdir(path.dirname(target), { recursive: true });
		await copyFile(from, `${target}.part`);
		await rename(`${target}.part`, target);
	}
	for (const file of await filesIn(dist)) {
		if (!built.includes(file)) await rm(path.join(dist, file));
	}
}

/** Removes dist. */
async function clean() {
	await rm(dist, { recursive: true, force: true });
}

// An incremental compilation leaves the output of a source that is gone.
let sourceWasRemoved = false;
async function forgetRemovedSources() {
	if (!sourceWasRemoved) return;
	sourceWasRemoved = false;
	await rm(next, { recursive: true, force: true });
	await rm(path.join(stage, 'tsbuildinfo'), { force: true });
}

const stageAll = gulp.series(compile, unindent, copyAssets);

/** Rebuilds dist on every change; a type error is printed and the last good build stays in place. */
function watch() {
	const update = gulp.series(forgetRemovedSources, stageAll, publish);
	const rebuild = (done) =>
		update((error) => {
			if (error) console.error('The last good build stays in place. Fix this, and save.');
			done();
		});
	const watched = [...sources, ...assets, 'tsconfig.json'];
	const watcher = gulp.watch(watched, { cwd: __dirname, ignoreInitial: false }, rebuild);
	watcher.on('unlink', () => {
		sourceWasRemoved = true;
	});
	return watcher;
}

exports.clean = clean;
exports.build = gulp.series(stageAll, clean, publish);
exports.watch = watch;
exports.default = exports.build;
