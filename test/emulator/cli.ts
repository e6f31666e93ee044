import { Command, InvalidArgumentError } from 'commander';
import { startEmulator, type RequestRecord } from './emulator';
import { ENDPOINTS } from './endpoints';
import { PROMPT_TAGS } from './jobs';

interface CommandOptions {
	port: number;
	cdnPort: number;
	key: string;
	duration: number;
	images: number;
}

const MAX_SHOWN_VALUE = 60;

const command = new Command('emulator')
	.description(
		'A stand-in for the AetherForge API on this machine. It takes jobs on every endpoint, costs nothing, ' +
			'and draws results of the kind that each endpoint returns: images that show the prompt, the model, ' +
			'and the reference images, larger images, layers, effects, sprite sheets, and animations.',
	)
	.option('--port <number>', 'port of the API; 0 for any free one', wholeNumber, 8787)
	.option('--cdn-port <number>', 'port that serves the images; 0 for any free one', wholeNumber, 0)
	.option('--key <key>', 'the API key that is accepted', 'test-key')
	.option('--duration <seconds>', 'how long a job takes', seconds, 3)
	.option('--images <number>', 'how many images a job of generate/image returns', wholeNumber, 1)
	.addHelpText(
		'after',
		`\nTags in a prompt control the outcome of its job. They work in any text of a request: the prompt, ` +
			`description, motion, keyword, or the rows of a character overlay.\n${PROMPT_TAGS.map(
				({ usage, help }) => `  ${usage.padEnd(15)} ${help}`,
			).join('\n')}\n\nEndpoints:\n${ENDPOINTS.map(({ path }) => `  POST ${path}`).join('\n')}\n` +
			`  GET  /public/v1/job/{job_id}\n`,
	);

void run(command.parse().opts());

async function run(options: CommandOptions): Promise<void> {
	try {
		const emulator = await startEmulator({
			port: options.port,
			cdnPort: options.cdnPort,
			apiKeys: [options.key],
			jobDurationMs: options.duration * 1000,
			imagesPerJob: options.images,
			onRequest: (request) => {
				console.log(described(request));
			},
		});
		console.log(
			`The AetherForge emulator is running. For the credential in n8n:\n` +
				`  Base URL  ${emulator.apiUrl}\n` +
				`  API Key   ${options.key}\n` +
				`Images come from ${emulator.cdnUrl}. Ctrl-C ends it.\n`,
		);
		const end = (): void => {
			void emulator.close();
		};
		process.once('SIGINT', end);
		process.once('SIGTERM', end);
	} catch (error) {
		console.error(
			`The emulator cannot start: ${error instanceof Error ? error.message : 'unknown'}`,
		);
		process.exitCode = 1;
	}
}

/** One line about a request; never its headers, which carry the key. */
function described(request: RequestRecord): string {
	const time = new Date(request.startedAtMs).toTimeString().slice(0, 8);
	const tookMs = (request.endedAtMs ?? request.startedAtMs) - request.startedAtMs;
	const answer = request.status ?? 'lost';
	return `${time}  ${answer}  ${request.method} ${request.path}  ${tookMs} ms${carried(request)}`;
}

function carried({ form, jobId }: RequestRecord): string {
	if (!form) return '';
	const parts = Object.entries(form.fields).map(([name, value]) => `${name} ${shortened(value)}`);
	for (const { field, bytes } of form.files) parts.push(`${field} ${bytes} bytes`);
	return `  ${parts.join(', ') || 'no fields'}${jobId ? `  job ${jobId}` : ''}`;
}

/** As JSON, so that line breaks in a prompt do not break the line. */
function shortened(value: string): string {
	return JSON.stringify(
		value.length > MAX_SHOWN_VALUE ? `${value.slice(0, MAX_SHOWN_VALUE)}…` : value,
	);
}

function wholeNumber(text: string): number {
	if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
	return Number(text);
}

function seconds(text: string): number {
	const value = Number(text);
	if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
		throw new InvalidArgumentError('It must be a number of seconds.');
	}
	return value;
}
