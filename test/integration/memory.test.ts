import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { runEngine, SERVICE_URL } from '../support/engine';
import { nock } from '../support/nock';

const ITEMS = 1000;
const PROMPT_BYTES = 100_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapBytes(): number {
	collectGarbage();
	return process.memoryUsage().heapUsed;
}

beforeAll(() => {
	nock.disableNetConnect();
});

it('has not piled up the prompts of thousands of items when the first is sent', async () => {
	let atFirstSubmit = 0;
	nock(SERVICE_URL)
		.post('/public/v1/generate/image')
		.reply(() => {
			atFirstSubmit = heapBytes();
			return [401, { detail: 'Invalid API key' }];
		});
	const items = Array.from({ length: ITEMS }, (_, n) => ({ json: { n } }));
	const before = heapBytes();
	const { error } = await runEngine({
		node: 'imageGenerate',
		parameters: {
			prompt: `={{ "x".repeat(${PROMPT_BYTES}) + $json.n }}`,
			waitForCompletion: false,
			options: { maxJobsPerRun: 0, maxConcurrentJobs: 1 },
		},
		items,
	});
	expect(error?.httpCode).toBe('401');
	expect(atFirstSubmit).toBeGreaterThan(0);
	expect(atFirstSubmit - before).toBeLessThan((ITEMS * PROMPT_BYTES) / 3);
	expect(nock.isDone()).toBe(true);
}, 60_000);
