import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

export type Report = (line: string) => void;

interface CommandOptions {
	/** Working directory. */
	cwd: string;
	/** File that receives everything the command prints. */
	logFile: string;
	/** Added to this process's environment. */
	env?: Record<string, string>;
}

const tailLines = 25;

/**
 * Runs a program to its end with its output in a log file, so that a quiet terminal stays quiet.
 *
 * @throws Error with the last lines of the output when the program fails.
 */
export async function runCommand(
	program: string,
	args: readonly string[],
	{ cwd, logFile, env = {} }: CommandOptions,
): Promise<void> {
	// execa is an ES module only, which CommonJS can load no other way.
	const { execa } = await import('execa');
	await mkdir(dirname(logFile), { recursive: true });
	const title = [program, ...args].join(' ');
	await appendFile(logFile, `\n$ ${title}\n`);
	const result = await execa(program, args, {
		cwd,
		env,
		stdin: 'ignore',
		stdout: { file: logFile, append: true },
		stderr: { file: logFile, append: true },
		reject: false,
	});
	if (!result.failed) return;
	const tail = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-tailLines);
	throw new Error(`"${title}" failed; the end of ${logFile}:\n${tail.join('\n')}`);
}
