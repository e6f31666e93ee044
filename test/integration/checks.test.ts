import type { IBinaryData, INodeParameters } from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import type { EngineResult } from '../support/engine';
import { CONTINUES, useScene } from '../support/scene';

// What a value may be is tested in unit/parameters and unit/inputFiles, and the fields of each endpoint in
// endpoints; here, that all items are checked before anything is paid for, and what is said of it.

const JOB = '123e4567-e89b-12d3-a456-426614174000';
const VALUE = '={{ $json.value }}';
// An expression, so that n8n keeps the options that belong to waiting.
const NOT_WAITING: INodeParameters = { waitForCompletion: '={{ false }}' };
const WAITING: INodeParameters = { waitForCompletion: true };
const PUT_IN = 'Put Output File in Field';
const UNLESS_X = `={{ $json.value === 'x' ? $('Nowhere').item.json.x : 'p' }}`;

const scene = useScene();

beforeEach(() => {
	scene.emulator.jobs.add({ id: JOB });
});

/** That the third item has ended the run, for nothing. n8n shows the item's number by itself. */
function expectRefused({ error, items }: EngineResult, message: string, says: string): void {
	expect(scene.emulator.requests).toEqual([]);
	expect(items).toEqual([]);
	expect(error).toMatchObject({ name: 'NodeOperationError', message, context: { itemIndex: 2 } });
	expect(error?.description).toContain(says);
	expect(error?.description).toContain('No job was started, and nothing was charged.');
}

const option = (name: string): INodeParameters => ({ options: { [name]: VALUE } });
const EMPTY = 'parameter is empty';
const BOOLEAN = 'must be true or false';
const NO_WAIT = `"Wait for Completion" ${BOOLEAN}`;
const NO_COUNT = '"Number of Images" must be a whole number from 1 to 20';
const AT_LEAST_0 = 'must be a whole number of at least 0';
const AT_LEAST_1 = 'must be a whole number of at least 1';

it.each<[unknown, bad: unknown, INodeParameters, message: string, says: string]>([
	['p', ' \n', { prompt: VALUE }, `The "Prompt" ${EMPTY}`, 'Row 3 of the input failed.'],
	['p', null, { prompt: VALUE }, `The "Prompt" ${EMPTY}`, 'Enter some text in "Prompt".'],
	['p', 'NaN', { prompt: VALUE }, '"Prompt" is only the text "NaN"', 'That looks like an'],
	['p', 'x', { prompt: UNLESS_X }, "Referenced node doesn't exist", ''],
	['f', ' ', { ...WAITING, binaryPropertyOutput: VALUE }, `The "${PUT_IN}" ${EMPTY}`, ''],
	['20', 21, { jobsPerItem: VALUE }, NO_COUNT, 'Its value is 21.'],
	[1, null, { jobsPerItem: VALUE }, NO_COUNT, 'Its value is null.'],
	[false, undefined, { waitForCompletion: VALUE }, NO_WAIT, 'Its value is undefined.'],
	[false, 'no', { ...WAITING, downloadImages: VALUE }, `"Download Images" ${BOOLEAN}`, 'is "no".'],
	[false, 1, option('dryRun'), `"Dry Run" ${BOOLEAN}`, 'Its value is 1.'],
	[false, 1, option('resubmitIfUnknown'), `"Resubmit If Unknown" ${BOOLEAN}`, 'is 1.'],
	[1, 0, option('timeout'), '"Timeout (Seconds)" must be a number of at least 1', 'is 0.'],
	['2', 0, option('maxConcurrentJobs'), `"Max Concurrent Jobs" ${AT_LEAST_1}`, 'is 0.'],
	['100', 0.5, option('maxJobsPerExecution'), `"Max Jobs per Execution" ${AT_LEAST_0}`, 'is 0.5.'],
	[100, '', option('maxJobsPerExecution'), `"Max Jobs per Execution" ${AT_LEAST_0}`, 'is "".'],
	['perJob', 5, option('outputItems'), '"Output Items" must be "perImage" or "perJob"', 'is 5.'],
	['error', 'x', option('onTimeout'), '"On Timeout" must be "returnPending" or "error"', 'is "x".'],
	[
		'error',
		'x',
		option('onFailed'),
		'"On Failed Job" must be "returnFailed" or "error"',
		'is "x".',
	],
])('a value of %j is fine, but not %j in %j', async (good, bad, parameters, message, says) => {
	const items = [good, good, bad].map((value) => ({ json: { value: value as string } }));
	expectRefused(await scene.generate({ ...NOT_WAITING, ...parameters }, { items }), message, says);
});

const PNG = tinyPicture('a picture', 'png').toString('base64');
const FILE: IBinaryData = { data: PNG, mimeType: 'image/png', fileName: 'a.png' };
const GONE = { ...FILE, id: 'filesystem-v2:workflows/w/executions/1/binary_data/x' };

it.each<[string, IBinaryData, message: string, says: string]>([
	[
		'is gone from n8n’s storage',
		GONE,
		'The file "a.png" in the binary field "data" cannot be read',
		"with the AetherForge Get Job node (Job ID: the item's job_id), free of charge.",
	],
	[
		'is no image',
		{ ...FILE, data: 'JVBERi0xLjc=', mimeType: 'application/pdf' },
		'The file "a.png" in the binary field "data" is not an image',
		'Its content is not a supported image (declared as application/pdf).',
	],
])('a file that %s is refused', async (_, bad, message, says) => {
	const items = [FILE, FILE, bad].map((data) => ({ json: {}, binary: { data } }));
	expectRefused(await scene.generate({ referenceImages: 'all' }, { items }), message, says);
});

it.each([
	['Prompt', { prompt: 'A fox, {{ $json.style }}' }],
	['File Name', { fileName: '{{ $json.name }}' }],
])('refuses braces in "%s" that nobody has made an expression', async (label, parameters) => {
	const { error } = await scene.generate(parameters);
	expect(error?.message).toBe(`The "${label}" parameter is text, not an expression`);
	expect(scene.emulator.requests).toEqual([]);
});

it.each<[string, string, INodeParameters]>([
	[' ', 'The "Job ID" parameter is empty', {}],
	['../../v1/account', '"../../v1/account" is not a job ID', {}],
	[`${JOB}/`, `"${JOB}/" is not a job ID`, {}],
	[`${JOB}0`, `"${JOB}0" is not a job ID`, {}],
	[JOB.replaceAll('-', ''), `"${JOB.replaceAll('-', '')}" is not a job ID`, {}],
	[JOB, '"On Failed Job" must be "returnFailed" or "error"', { options: { onFailed: 'x' } }],
])('Get Job sends nothing for the job ID %j: %s', async (jobId, message, parameters) => {
	const { error } = await scene.run({ node: 'getJob', parameters: { jobId, ...parameters } });
	expect(scene.emulator.requests).toEqual([]);
	expect(error).toMatchObject({ message, context: { itemIndex: 0 } });
	expect(error?.description).not.toContain('job was started');
});

it('an item that is refused is an error item between the others when the node continues', async () => {
	const { error, items } = await scene.generate(
		{ prompt: VALUE, waitForCompletion: false },
		{ items: ['a', ' ', 'b'].map((value) => ({ json: { value } })), nodeSettings: CONTINUES },
	);
	expect(error).toBeUndefined();
	expect(scene.paidPrompts()).toEqual(['a', 'b']);
	const free = / No job was started for this item, and nothing was charged\.$/;
	const refused = {
		message: 'The "Prompt" parameter is empty [Item 1]',
		description: expect.stringMatching(free) as string,
	};
	expect(items.map(({ json }) => json.prompt ?? json.error)).toEqual(['a', refused, 'b']);
});
