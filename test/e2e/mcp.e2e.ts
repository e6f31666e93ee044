import { nodeNameToToolName } from 'n8n-workflow';
import { servedSha256, useLab } from './lab';
import { checkTool, generateTool, paidEndpoints, paidTools, useMcp, type ToldJob } from './tools';

const lab = useLab();
const open = useMcp(lab);

const startedIds = (): string[] => lab.emulator.submits.map(({ jobId }) => jobId);

/** The first job that a reply tells of. */
function jobIn({ isError, text }: { isError: boolean; text: string }): ToldJob | undefined {
	expect([text, isError]).toEqual([expect.stringContaining('job_id'), false]);
	return (JSON.parse(text) as ToldJob[])[0];
}

it('an MCP client finds every node, each call of a paid one starts one job, and the reply names it', async () => {
	const paid = paidTools(lab);
	const tools = [...paid.map(({ node }) => node), checkTool()];
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
		const job = jobIn(await call(nodeNameToToolName(node), args));
		expect(job).toMatchObject({ job_id: startedIds().at(-1), status: 'Succeed' });
		expect(await servedSha256(job?.image_url)).toMatch(/^[\da-f]{64}$/);
		const checked = jobIn(await call('Check_job', { job_id: job?.job_id ?? '' }));
		expect(checked).toMatchObject({ job_id: job?.job_id, image_url: job?.image_url });
	}
	expect(lab.emulator.submits.map(({ endpoint }) => endpoint)).toEqual(paidEndpoints);
});

it('calls of an MCP client side by side each start a job, and each has a limit to itself', async () => {
	const { call } = await open(generateTool({ options: { maxJobsPerExecution: 1 } }));
	const prompts = ['A red fox', 'A blue fox'];
	const calls = prompts.map(async (prompt) => await call('Generate_image', { prompt }));
	const jobs = (await Promise.all(calls)).map(jobIn);
	expect(jobs.map((job) => job?.prompt)).toEqual(prompts);
	expect(jobs.map((job) => job?.job_id).sort()).toEqual(startedIds().sort());
});

it('an MCP client is told why a call is refused, and of what job one has failed', async () => {
	const { call } = await open(generateTool());
	const refused = await call('Generate_image', { prompt: ' ' });
	for (const words of ['The "Prompt" parameter is empty', 'Enter some text']) {
		expect([refused.isError, refused.text]).toEqual([true, expect.stringContaining(words)]);
	}
	expect(lab.emulator.requests).toEqual([]);
	const failed = await call('Generate_image', { prompt: 'A red fox #fail-message' });
	expect(startedIds()).toHaveLength(1);
	for (const words of ['The prompt asked for this failure.', ...startedIds()]) {
		expect([failed.isError, failed.text]).toEqual([true, expect.stringContaining(words)]);
	}
});
