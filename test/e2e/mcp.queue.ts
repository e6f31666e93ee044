import { isN8n1, useLab } from './lab';
import { generateTool, useMcp, type ToldJob } from './tools';

const lab = useLab();
const open = useMcp(lab);

it('in queue mode each call of an MCP client starts one job, and one that is refused says why', async () => {
	const { call } = await open(generateTool({ options: { maxJobsPerExecution: 1 } }));
	const prompts = ['A red fox', 'A blue fox'];
	const calls = prompts.map(async (prompt) => await call('Generate_image', { prompt }));
	const jobs = (await Promise.all(calls)).map(({ text }) => (JSON.parse(text) as ToldJob[])[0]);
	const { submits } = lab.emulator;
	expect(jobs.map((job) => job?.job_id).sort()).toEqual(submits.map(({ jobId }) => jobId).sort());
	expect(submits).toHaveLength(2);
	const log = await lab.log();
	for (const { jobId } of submits) {
		// n8n 1 runs what an MCP client calls in its main process all the same.
		expect(log.includes(`AetherForge started the job ${jobId}`)).toBe(!isN8n1);
	}

	const before = lab.emulator.requests.length;
	// Whether it says that this is an error depends on the version of n8n.
	const { text } = await call('Generate_image', { prompt: ' ' });
	// n8n hands on the message alone: it has to hold what to do as well.
	for (const words of ['The \\"Prompt\\" parameter is empty', 'Enter some text']) {
		expect(text).toContain(isN8n1 ? words.replaceAll('\\', '') : words);
	}
	expect(lab.emulator.requests).toHaveLength(before);
});
