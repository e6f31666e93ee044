import { readFileSync } from 'node:fs';
import path from 'node:path';

/** What has to name the same version before that version is published. */
export interface Release {
	/** The version of package.json. */
	version: string;
	/** The versions that package-lock.json gives for this package, which has two places for it. */
	lockedVersions: readonly string[];
	changelog: string;
	/** The git tag that is being published. Without one, the version may still be in the making. */
	tag?: string;
}

const RELEASE_HEADING = /^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$/;

/**
 * What version, lockfile, changelog and tag disagree about, a sentence each.
 *
 * The version and the changelog's heading change in one commit: at any time the newest release of the
 * changelog is the version of package.json, unless there was no release yet.
 */
export function disagreements({ version, lockedVersions, changelog, tag }: Release): string[] {
	const sections = changelog.split(/^(?=## )/m).slice(1);
	const titled = sections.map((section) => {
		const [title = '', ...lines] = section.split('\n');
		return { title, text: lines.join('\n').trim(), version: RELEASE_HEADING.exec(title)?.[1] };
	});
	const newest = titled.find((section) => section.version !== undefined);

	return [
		...lockedVersions
			.filter((locked) => locked !== version)
			.map((locked) => `package-lock.json has ${locked}, package.json has ${version}`),
		...titled
			.filter((section) => section.version === undefined && section.title !== '## [Unreleased]')
			.map(
				({ title }) => `CHANGELOG.md: "${title}" is not a heading like "## [1.2.3] - 2026-01-31"`,
			),
		...(newest !== undefined && newest.version !== version
			? [`CHANGELOG.md ends at ${newest.version ?? ''}, package.json has ${version}`]
			: []),
		...(newest?.text === '' ? [`CHANGELOG.md says nothing about ${newest.version ?? ''}`] : []),
		...(tag !== undefined && newest === undefined ? ['CHANGELOG.md has no release'] : []),
		...(tag !== undefined && tag !== `v${version}`
			? [`the tag is ${tag}, package.json has ${version}`]
			: []),
	];
}

/** The release that `directory` describes. */
export function releaseIn(directory: string, tag?: string): Release {
	const read = (file: string): string => readFileSync(path.join(directory, file), 'utf8');
	const manifest = JSON.parse(read('package.json')) as { version: string };
	const lockfile = JSON.parse(read('package-lock.json')) as {
		version: string;
		packages: { '': { version: string } };
	};
	return {
		version: manifest.version,
		lockedVersions: [lockfile.version, lockfile.packages[''].version],
		changelog: read('CHANGELOG.md'),
		...(tag === undefined ? {} : { tag }),
	};
}

/**
 * Why `npm publish` of `directory` is refused ("prepublishOnly"): only GitHub's CI publishes, and only a
 * tag that agrees with everything else.
 */
export function refusals(directory: string, environment: NodeJS.ProcessEnv): string[] {
	const { GITHUB_ACTIONS, GITHUB_REF_TYPE, GITHUB_REF_NAME } = environment;
	if (GITHUB_ACTIONS !== 'true' || GITHUB_REF_TYPE !== 'tag') {
		return ['only CI publishes, from a tag: push one, as docs/releasing.md describes'];
	}
	return disagreements(releaseIn(directory, GITHUB_REF_NAME));
}

if (require.main === module) {
	for (const refusal of refusals(path.resolve(__dirname, '..'), process.env)) {
		console.error(`Not published: ${refusal}.`);
		process.exitCode = 1;
	}
}
