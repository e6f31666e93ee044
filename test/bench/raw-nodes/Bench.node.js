// A throw-away node for the n8n that is measured: it prepares the input, tells the bench when the node
// in between begins and ends, and does plain uploads, downloads and requests to compare with.
const { once } = require('node:events');
const { mkdtemp, rm, writeFile } = require('node:fs/promises');
const { get, request } = require('node:http');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { Readable } = require('node:stream');
const { json } = require('node:stream/consumers');
const { pipeline } = require('node:stream/promises');

const CHUNK = Buffer.alloc(65_536, 'x');
const PNG_SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const POLL_MS = 1000;
const LIMIT_MS = 30_000;

/** A file of a size that passes for a PNG, without ever being in memory. */
function* pngOf(bytes) {
	yield PNG_SIGNATURE;
	for (let left = bytes - PNG_SIGNATURE.length; left > 0; left -= CHUNK.length) {
		yield CHUNK.subarray(0, Math.min(left, CHUNK.length));
	}
}

const operations = {
	/** `items` items with `files` files of `bytes` bytes each. */
	async stage(context, { items, files, bytes }) {
		const output = [];
		for (let item = 0; item < items; item++) {
			const binary = {};
			for (let file = 0; file < files; file++) {
				const name = `reference_${file}`;
				const content = Readable.from(pngOf(bytes));
				binary[name] = await context.helpers.prepareBinaryData(content, `${name}.png`, 'image/png');
			}
			output.push({
				json: { row: item },
				...(files > 0 ? { binary } : {}),
				pairedItem: { item: 0 },
			});
		}
		return output;
	},

	/** Goes on when the bench says so. */
	async gate(context, { url }) {
		await context.helpers.httpRequest({ url });
		return context.getInputData();
	},

	/** What no check of items can be below: one expression of each, and nothing done with it. */
	async readText(context) {
		return context.getInputData().map((_, item) => ({
			json: { text: context.getNodeParameter('text', item) },
			pairedItem: { item },
		}));
	},

	/** What no node can be below: files from n8n's storage, one after the other into a socket. */
	async uploadPiped(context, { baseUrl, apiKey }) {
		const boundary = 'bench';
		const value = (name, text) =>
			`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;
		const file = ({ fileName, mimeType }) =>
			`--${boundary}\r\nContent-Disposition: form-data; name="ref_images"; filename="${fileName}"\r\n` +
			`Content-Type: ${mimeType}\r\n\r\n`;
		const [{ binary }] = context.getInputData();
		const { helpers } = context;
		async function* body() {
			yield value('prompt', 'A lighthouse') + value('ai_model', 'GPT Image 1.5');
			for (const each of Object.values(binary)) {
				yield file(each);
				yield* await helpers.getBinaryStream(each.id);
				yield '\r\n';
			}
			yield `--${boundary}--\r\n`;
		}
		const outgoing = request(`${baseUrl}/public/v1/generate/image`, {
			method: 'POST',
			headers: {
				Authorization: `Bearer ${apiKey}`,
				'Content-Type': `multipart/form-data; boundary=${boundary}`,
			},
		});
		const answered = once(outgoing, 'response');
		await pipeline(Readable.from(body()), outgoing);
		const [response] = await answered;
		return [{ json: await json(response), pairedItem: { item: 0 } }];
	},

	/** What no node can be below. */
	async downloadPiped(context, { url }) {
		const folder = await mkdtemp(join(tmpdir(), 'aetherforge-bench-'));
		const [response] = await once(get(url), 'response');
		await writeFile(join(folder, 'result'), response);
		await rm(folder, { recursive: true });
		return context.getInputData();
	},

	/** The requests that jobs cannot do without, sent as the node sends them, and nothing around them. */
	async bareRequests(context, { baseUrl, concurrency }) {
		const { helpers } = context;
		const asSent = {
			encoding: 'stream',
			returnFullResponse: true,
			ignoreHttpStatusErrors: true,
			timeout: LIMIT_MS,
		};
		const send = async (options) => {
			const { body } = await helpers.httpRequestWithAuthentication.call(context, 'aetherForgeApi', {
				...asSent,
				disableFollowRedirect: true,
				...options,
			});
			return await json(body);
		};
		const items = context.getInputData();
		const output = [];
		let next = 0;
		const work = async () => {
			while (next < items.length) {
				const item = next++;
				const body = new FormData();
				body.append('prompt', `row ${item}`);
				body.append('ai_model', 'GPT Image 1.5');
				const url = `${baseUrl}/public/v1/generate/image`;
				const { job_id } = await send({ method: 'POST', url, body });
				await new Promise((resolve) => setTimeout(resolve, POLL_MS));
				const job = await send({ method: 'GET', url: `${baseUrl}/public/v1/job/${job_id}` });
				const image = await helpers.httpRequest({ url: job.image_urls[0], ...asSent });
				const data = await helpers.prepareBinaryData(image.body, `${job_id}.png`, 'image/png');
				output[item] = { json: job, binary: { data }, pairedItem: { item } };
			}
		};
		await Promise.all(Array.from({ length: concurrency }, work));
		return output;
	},
};

exports.Bench = class Bench {
	description = {
		displayName: 'Bench',
		name: 'bench',
		group: ['transform'],
		version: 1,
		description: 'Parts of the benchmark that run inside n8n',
		defaults: { name: 'Bench' },
		inputs: ['main'],
		outputs: ['main'],
		credentials: [{ name: 'aetherForgeApi' }],
		properties: [
			{ displayName: 'Operation', name: 'operation', type: 'string', default: '' },
			{ displayName: 'Details', name: 'details', type: 'json', default: '{}' },
			{ displayName: 'Text', name: 'text', type: 'string', default: '' },
		],
	};

	async execute() {
		const operation = operations[this.getNodeParameter('operation', 0)];
		return [await operation(this, JSON.parse(this.getNodeParameter('details', 0)))];
	}
};
