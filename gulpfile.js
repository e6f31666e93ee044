const { spawn } = require('node:child_process');
const { existsSync, mkdtempSync, rmSync } = require('node:fs');
const { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } = require('node:fs/promises');
const { tmpdir } = require('node:os');
const path = require('node:path');
const esbuild = require('esbuild');
const gulp = require('gulp');
const { n8n } = require('./package.json');

const dist = path.join(__dirname, 'dist');
const sources = ['nodes/**/*.ts', 'credentials/**/*.ts'];
const assets = ['nodes/**/*.svg', 'nodes/**/*.json', 'credentials/**/*.svg'];

// Everything is built here first. dist only ever receives whole files of a build that succeeded: n8n
// reloads a package 100 ms after the first change it sees, and tsc also writes when there are errors.
const stage = mkdtempSync(path.join(tmpdir(), 'aetherforge-build-'));
const compiled = path.join(stage, 'compiled');
const next = path.join(stage, 'dist');
process.on('exit', () => rmSync(stage, { recursive: true, force: true }));
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

/** Compiles with the project's own compiler and settings; fails on any type error. */
function compile() {
	const tsc = require.resolve('typescript/bin/tsc');
	const options = ['--outDir', compiled];
	const incremental = ['--incremental', '--tsBuildInfoFile', path.join(stage, 'tsbuildinfo')];
	return spawn(process.execPath, [tsc, '-p', 'tsconfig.json', ...options, ...incremental], {
		cwd: __dirname,
		stdio: 'inherit',
	});
}

const bundling = { bundle: true, platform: 'node', external: ['n8n-workflow'] };

/** What an import names, as a path from this folder without extension. */
const imported = ({ path: name, resolveDir }) =>
	path.relative(__dirname, path.join(resolveDir, name));

/** The files that nodes import when they run, with all that those need; paths without extension. */
async function loadedWhenRun(startup) {
	const found = new Set();
	const noteDynamicImports = {
		name: 'note-dynamic-imports',
		setup: ({ onResolve }) =>
			onResolve({ filter: /^\./ }, (each) => {
				if (each.kind === 'dynamic-import') found.add(imported(each));
			}),
	};
	const looking = { ...bundling, absWorkingDir: __dirname, outdir: next, write: false };
	await esbuild.build({ ...looking, stdin: startup, plugins: [noteDynamicImports] });
	const entryPoints = [...found].map((file) => path.join(compiled, `${file}.js`));
	const needed = { ...looking, absWorkingDir: compiled, entryPoints, metafile: true };
	const { metafile } = await esbuild.build(needed);
	return new Set(Object.keys(metafile.inputs).map((file) => file.replace(/\.js$/, '')));
}

// n8n loads every node when it starts, and Node.js spends most of that time on finding and opening files.
// So what only that needs goes into one file; what a node imports when it runs stays as compiled.
async function bundle() {
	await rm(next, { recursive: true, force: true });
	const listed = [...n8n.nodes, ...n8n.credentials].map((file) => path.relative('dist', file));
	const exported = listed.map((file) => `export * from './${file.replace(/\.js$/, '')}';`);
	const startup = { contents: exported.join('\n'), resolveDir: __dirname };
	const kept = await loadedWhenRun(startup);
	const leaveOut = {
		name: 'leave-out',
		setup: ({ onResolve }) =>
			onResolve({ filter: /^\./ }, (each) => {
				const file = imported(each);
				return kept.has(file) ? { path: `./${file}.js`, external: true } : undefined;
			}),
	};
	await esbuild.build({
		...bundling,
		stdin: startup,
		outfile: path.join(next, 'startup.js'),
		plugins: [leaveOut],
		// As a call of require, which n8n can forget when it reloads the package.
		supported: { 'dynamic-import': false },
	});

	for (const file of kept) {
		const target = path.join(next, `${file}.js`);
		await mkdir(path.dirname(target), { recursive: true });
		await copyFile(path.join(compiled, `${file}.js`), target);
	}
	for (const file of listed) {
		const target = path.join(next, file);
		await mkdir(path.dirname(target), { recursive: true });
		const startupFile = path.relative(path.dirname(target), path.join(next, 'startup'));
		await writeFile(target, `module.exports = require('${startupFile}');\n`);
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
	await rm(compiled, { recursive: true, force: true });
	await rm(path.join(stage, 'tsbuildinfo'), { force: true });
}

const stageAll = gulp.series(compile, bundle, copyAssets);

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
