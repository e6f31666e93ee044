import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const CLI = [process.execPath, '--import', 'tsx', join(__dirname, 'cli.ts')] as const;

const running: ReturnType<typeof spawn>[] = [];

afterEach(() => {
	for (const child of running.splice(0)) child.kill('SIGKILL');
});

function start(...args: string[]): {
	child: ReturnType<typeof spawn>;
	output: () => string;
	line: (pattern: RegExp) => Promise<RegExpExecArray>;
	ended: Promise<unknown[]>;
} {
	const [node, ...rest] = CLI;
	const child = spawn(node, [...rest, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
	running.push(child);
	let text = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.on('data', (chunk: Buffer) => {
			text += chunk.toString();
		});
	}
	const ended = once(child, 'close');
	const line = async (pattern: RegExp): Promise<RegExpExecArray> => {
		for (;;) {
			const found = pattern.exec(text);
			if (found) return found;
			await Promise.race([
				once(child.stdout, 'data'),
				ended.then(() => {
					throw new Error(`The command ended before it wrote ${String(pattern)}: ${text}`);
				}),
			]);
		}
	};
	return { child, output: () => text, line, ended };
}

it('says where it runs, logs each request in one line without the key, ends on Ctrl-C', async () => {
	const run = start('--port', '0', '--key', 'sesame', '--duration', '0.5');
	const [, apiUrl = ''] = await run.line(/Base URL {2}(\S+)/);
	await run.line(/Ctrl-C/);
	const form = new FormData();
	form.append('prompt', 'One\nTwo');
	form.append('ai_model', 'GPT Image 2');
	const headers = { authorization: 'Bearer sesame' };
	const reply = await fetch(`${apiUrl}/public/v1/generate/image`, {
		method: 'POST',
		headers,
		body: form,
	});
	expect(reply.status).toBe(200);
	await run.line(
		/200 {2}POST \/public\/v1\/generate\/image {2}\d+ ms {2}prompt "One\\r\\nTwo", ai_model "GPT Image 2" {2}job [0-9a-f-]{36}\n/,
	);
	run.child.kill('SIGINT');
	expect(await run.ended).toEqual([0, null]);
	expect(run.output().split('sesame')).toHaveLength(2);
});

it('lists the prompt tags and the endpoints in its help', async () => {
	const run = start('--help');
	expect(await run.ended).toEqual([0, null]);
	for (const word of [
		'--port',
		'--cdn-port',
		'--key',
		'--duration',
		'#fail',
		'#slow',
		'#gif',
		'/sprite/reskin/v2',
	]) {
		expect(run.output()).toContain(word);
	}
});

it.each([
	[['--port', 'http'], 'It must be a whole number.'],
	[['--duration', '-1'], 'It must be a number of seconds.'],
	[['--port', '99999'], 'The emulator cannot start'],
])('refuses %j in words', async (args, message) => {
	const run = start(...args);
	expect(await run.ended).toEqual([1, null]);
	expect(run.output()).toContain(message);
	expect(run.output()).not.toContain('    at ');
});
