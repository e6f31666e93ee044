import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const CLI = ['--import', 'tsx', join(__dirname, 'cli.ts')];

it('says where it runs, logs each request in one line without the key, ends on Ctrl-C', async () => {
	const child = spawn(process.execPath, [...CLI, '--port', '0', '--key', 'sesame']);
	const ended = once(child, 'close');
	let output = '';
	child.stdout.on('data', (chunk: Buffer) => {
		output += chunk.toString();
	});
	const written = async (pattern: RegExp): Promise<string> => {
		while (!pattern.test(output)) await Promise.race([once(child.stdout, 'data'), ended]);
		return pattern.exec(output)?.[1] ?? '';
	};
	try {
		const apiUrl = await written(/Base URL {2}(\S+)[^]*Ctrl-C/);
		const form = new FormData();
		form.append('prompt', 'One\nTwo');
		form.append('ai_model', 'GPT Image 2');
		const headers = { authorization: 'Bearer sesame' };
		await fetch(`${apiUrl}/public/v1/generate/image`, { method: 'POST', headers, body: form });
		const values = /prompt "One\\r\\nTwo", ai_model "GPT Image 2"/.source;
		await written(
			new RegExp(`200 {2}POST /public/v1/generate/image .*${values} {2}job \\S{36}\\n`),
		);
		child.kill('SIGINT');
		expect(await ended).toEqual([0, null]);
		expect(output.split('sesame')).toHaveLength(2);
	} finally {
		child.kill('SIGKILL');
	}
});

it.each([
	['--help', '', 0, /--port.*--key.*--duration.*#fail.*\/sprite\/reskin\/v2/s],
	['--port', 'http', 1, /It must be a whole number\./],
	['--duration', '-1', 1, /It must be a number of seconds\./],
	['--port', '99999', 1, /The emulator cannot start/],
])('answers %s %s in words', (option, value, code, message) => {
	const { status, stdout, stderr } = spawnSync(process.execPath, [...CLI, option, value]);
	const output = `${stdout.toString()}${stderr.toString()}`;
	expect(output).toMatch(message);
	expect(output).not.toContain('    at ');
	expect(status).toBe(code);
});
