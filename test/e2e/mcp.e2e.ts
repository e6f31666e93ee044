import { nodeNameToToolName } from 'n8n-workflow';
import { isN8n1, isQueueMode, servedSha256, useLab } from './lab';
import { expectRunByWorker } from './scenarios';
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
	// n8n 1 runs what an MCP client calls in its main process all the same.
	if (!isN8n1) await expectRunByWorker(lab);
});

it('an MCP client is told why a call is refused, and of what job one has failed', async () => {
	const { call } = await open(generateTool());
	/** In queue mode n8n hands on the message alone, in JSON, and some versions call it no error. */
	const expectTold = ({ isError, text }: Awaited<ReturnType<typeof call>>, words: string[]) => {
		for (const each of words) expect(text.replaceAll('\\', '')).toContain(each);
		if (!isQueueMode) expect(isError).toBe(true);
	};
	const refused = await call('Generate_image', { prompt: ' ' });
	expectTold(refused, ['The "Prompt" parameter is empty', 'Enter some text']);
	expect(lab.emulator.requests).toEqual([]);
	const failed = await call('Generate_image', { prompt: 'A red fox #fail-message' });
	expect(startedIds()).toHaveLength(1);
	expectTold(failed, [...(isQueueMode ? [] : ['asked for this failure']), ...startedIds()]);
});
