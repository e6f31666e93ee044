import { nodeNameToToolName, type INode } from 'n8n-workflow';
import { openLab, servedSha256, type Lab } from './lab';
import { openMcpSession, type McpSession } from './mcp';
import { checkNode, generateNode, paidEndpoints, paidTools } from './tools';

let lab: Lab;
let session: McpSession | undefined;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await session?.close();
	session = undefined;
	await lab.close();
});

async function open(...tools: INode[]): Promise<McpSession> {
	session = await openMcpSession(lab, tools);
	return session;
}

interface ToldJob {
	job_id: string;
	status: string;
	image_url: string;
	prompt?: string;
}

function toldJobs(text: string): ToldJob[] {
	return JSON.parse(text) as ToldJob[];
}

const startedIds = (): string[] => lab.emulator.submits.map(({ jobId }) => jobId);

it('an MCP client finds every node, each call of a paid one starts one job, and the reply names it', async () => {
	const paid = paidTools(lab);
	const tools = [...paid.map(({ node }) => node), checkNode()];
	const { client, call } = await open(...tools);
	const { tools: listed } = await client.listTools();
	expect(listed.map(({ name }) => name).sort()).toEqual(
		tools.map(({ name }) => nodeNameToToolName(name)).sort(),
	);
	expect(listed.find(({ name }) => name === 'Generate_image')).toMatchObject({
		description: expect.stringContaining('Each call costs credits.') as string,
		inputSchema: {
			properties: { prompt: { type: 'string', description: 'What the image should show' } },
			required: ['prompt'],
		},
	});

	for (const { node, arguments: args } of paid) {
		const { isError, text } = await call(nodeNameToToolName(node), args);
		expect([text, isError]).toEqual([expect.stringContaining('job_id'), false]);
		const [job] = toldJobs(text);
		expect(job).toMatchObject({ job_id: startedIds().at(-1), status: 'Succeed' });
		expect(await servedSha256(job?.image_url)).toMatch(/^[\da-f]{64}$/);
		const checked = await call('Check_job', { job_id: job?.job_id ?? '' });
		expect(toldJobs(checked.text)[0]).toMatchObject({
			job_id: job?.job_id,
			image_url: job?.image_url,
		});
	}
	expect(lab.emulator.submits.map(({ endpoint }) => endpoint)).toEqual(paidEndpoints);
});

it('calls of an MCP client side by side each start a job, and each has a limit to itself', async () => {
	const { call } = await open(generateNode({ options: { maxJobsPerExecution: 1 } }));
	const prompts = ['A red fox', 'A blue fox'];
	const replies = await Promise.all(
		prompts.map(async (prompt) => await call('Generate_image', { prompt })),
	);
	replies.push(await call('Generate_image', { prompt: 'A green fox' }));
	const told = replies.map(({ text, isError }) => {
		expect([text, isError]).toEqual([expect.stringContaining('job_id'), false]);
		return toldJobs(text)[0];
	});
	expect(told.map((job) => job?.prompt)).toEqual([...prompts, 'A green fox']);
	expect(told.map((job) => job?.job_id).sort()).toEqual(startedIds().sort());
	expect(startedIds()).toHaveLength(3);
});

it.each([
	['without a prompt', {}, ' ', ['The "Prompt" parameter is empty', 'Enter some text']],
	[
		'of more jobs than its limit',
		{ jobsPerItem: 3, options: { maxJobsPerExecution: 2 } },
		'A red fox',
		['would start 3 jobs, more than the 2', 'raise "Max Jobs per Execution"'],
	],
])(
	'an MCP client is told why a call %s is refused, and nothing is sent',
	async (_, parameters, prompt, words) => {
		const { call } = await open(generateNode(parameters));
		const { isError, text } = await call('Generate_image', { prompt });
		for (const each of words) expect(text).toContain(each);
		expect(isError).toBe(true);
		expect(lab.emulator.requests).toEqual([]);
	},
);

it('an MCP client is told the ID of a job that failed', async () => {
	const { call } = await open(generateNode());
	const { isError, text } = await call('Generate_image', { prompt: 'A red fox #fail-message' });
	expect(text).toContain('The prompt asked for this failure.');
	expect(text).toContain(startedIds()[0]);
	expect(isError).toBe(true);
	expect(startedIds()).toHaveLength(1);
});
