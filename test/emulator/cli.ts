import { Command } from 'commander';
import { ENDPOINT_CASES } from '../support/endpointCases';
import { startEmulator } from './emulator';
import { PROMPT_TAGS } from './jobs';

const help = [
	'\nTags in any text of a request control the outcome of its job:',
	...PROMPT_TAGS.map(([tag, help]) => `  ${tag.padEnd(15)} ${help}`),
	'\nEndpoints:',
	...ENDPOINT_CASES.map(({ path }) => `  POST ${path}`),
	'  GET  /public/v1/job/{job_id}',
];

void new Command('emulator')
	.description(
		'A stand-in for the AetherForge API on this machine. It takes jobs on every endpoint, costs nothing, ' +
			'and draws results of the kind that each endpoint returns, with the prompt on them.',
	)
	.option('--port <number>', 'port of the API; 0 for any free one', Number, 8787)
	.option('--key <key>', 'the API key that is accepted', 'test-key')
	.option('--duration <seconds>', 'how long a job takes', Number, 3)
	.addHelpText('after', help.join('\n'))
	.action(run)
	.parseAsync()
	.catch((error: unknown) => {
		console.error(`The emulator cannot start: ${(error as Error).message}`);
		process.exitCode = 1;
	});

async function run(options: { port: number; key: string; duration: number }): Promise<void> {
	const { port, key, duration } = options;
	const emulator = await startEmulator({
		port,
		apiKeys: [key],
		jobDurationMs: duration * 1000,
	});
	console.log(
		`The AetherForge emulator is running. For the credential in n8n:\n` +
			`  Base URL  ${emulator.apiUrl}\n` +
			`  API Key   ${key}\n` +
			`Images come from ${emulator.cdnUrl}. Ctrl-C ends it.\n`,
	);
	for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void emulator.close());
}
