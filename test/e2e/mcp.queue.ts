import { openLab, type Lab } from './lab';
import { openMcpSession, type McpSession } from './mcp';
import { generateNode } from './tools';

let lab: Lab;
let session: McpSession | undefined;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await session?.close();
	await lab.close();
});

/** n8n 1 runs what an MCP client calls in its main process all the same. */
const runsInWorker = process.env.E2E_N8N_RELEASE !== 'n8n-1.123';

it('in queue mode each call of an MCP client starts one job, and one that is refused says why', async () => {
	session = await openMcpSession(lab, [generateNode({ options: { maxJobsPerExecution: 1 } })]);
	const { call } = session;
	const replies = [
		...(await Promise.all(
			['A red fox', 'A blue fox'].map(async (prompt) => await call('Generate_image', { prompt })),
		)),
		await call('Generate_image', { prompt: 'A green fox' }),
	];
	const { submits } = lab.emulator;
	expect(submits).toHaveLength(3);
	const told = replies.map(({ text }) => (JSON.parse(text) as { job_id: string }[])[0]?.job_id);
	expect(told.sort()).toEqual(submits.map(({ jobId }) => jobId).sort());
	const [workerLog, requests] = [await lab.workerLog(), lab.emulator.requests.length];
	for (const { jobId } of submits) {
		expect(workerLog.includes(`AetherForge started the job ${jobId}`)).toBe(runsInWorker);
	}

	// Whether it says that this is an error depends on the version of n8n.
	const { text } = await call('Generate_image', { prompt: ' ' });
	// n8n hands on the message alone: it has to hold what to do as well.
	for (const words of ['The \\"Prompt\\" parameter is empty', 'Enter some text']) {
		expect(text).toContain(runsInWorker ? words : words.replaceAll('\\', ''));
	}
	expect(lab.emulator.requests).toHaveLength(requests);
});
