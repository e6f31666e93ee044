import { nodeNameToToolName } from 'n8n-workflow';
import { isN8n1, isQueueMode, servedSha256, useLab } from './lab';
import { expectRunByWorker } from './scenarios';
import { generateTool, tools, useMcp, type ToldJob } from './tools';

const lab = useLab();
const open = useMcp(lab);

const startedIds = (): string[] => lab.emulator.submits.map(({ jobId }) => jobId);

/** The first job that a reply tells of. */
function jobIn({ isError, text }: { isError: boolean; text: string }): ToldJob | undefined {
	expect([text, isError]).toEqual([expect.stringContaining('job_id'), false]);
	return (JSON.parse(text) as ToldJob[])[0];
}

it('an MCP client finds its tools, each call of a paid one starts one job, and the reply names it', async () => {
	const offered = tools();
	const { client, call } = await open(...offered);
	const { tools: listed } = await client.listTools();
	expect(listed.map(({ name }) => name).sort()).toEqual(
		offered.map(({ name }) => nodeNameToToolName(name)).sort(),
	);
	expect(listed.find(({ name }) => name === 'Generate_image')).toMatchObject({
		description: expect.stringContaining('Each call costs credits.') as string,
		inputSchema: {
			properties: { prompt: { type: 'string', description: 'What the image should show' } },
			required: ['prompt'],
		},
	});
	const fox = jobIn(await call('Generate_image', { prompt: 'A red fox' }));
	const large = jobIn(await call('Upscale_image', { image_url: fox?.image_url ?? '' }));
	expect([fox?.job_id, large?.job_id]).toEqual(startedIds());
	const sent = lab.emulator.submits[1]?.files.map((file) => file.sha256);
	expect(sent).toEqual([await servedSha256(fox?.image_url)]);
	const { job_id = '', image_url } = large ?? {};
	const checked = jobIn(await call('Check_job', { job_id }));
	expect(checked).toMatchObject({ job_id, status: 'Succeed', image_url });
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
