import { randomUUID } from 'node:crypto';
import { tinyPicture } from '../emulator/pictures';
import { ENDPOINT_CASES } from '../support/endpointCases';
import { expectSuccess, servedSha256, sha256, useLab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import { pictureForm } from './scenarios';
import * as nodes from './workflow';

const lab = useLab(undefined, [beforeAll, afterAll]);

/** Each endpoint with what it cannot do without, whose files are an upload in the field `data`. */
const cases = ENDPOINT_CASES.map(({ node, parameters, fields, ...facts }, index) => ({
	...facts,
	name: `Node ${index}`,
	node: nodes[node](parameters),
	files: fields.filter(({ kind, isOptional }) => kind === 'files' && isOptional !== true),
}));

let execution: Execution;
beforeAll(async () => {
	const path = randomUUID();
	const start = nodes.webhook(path);
	// One that fails must not keep the others from running.
	const onError = 'continueRegularOutput';
	const file = nodes.workflow(
		'Every endpoint',
		cases.map(({ name, node }) => [start, { ...node, name, onError }]),
	);
	const sent = await lab.send(file, `webhook/${path}`, pictureForm({ data: 'data.png' }));
	execution = sent.execution;
	expectSuccess(execution);
});

it.each(cases)('$path receives an upload and gives its results', async (each) => {
	const items = execution.items(each.name);
	const jobId = items[0]?.json.job_id as string;
	const submit = lab.emulator.submits.find((other) => other.jobId === jobId);
	expect([submit?.endpoint, submit?.fields]).toEqual([each.path, each.sends]);
	const received = submit?.files.map(({ sha256: hash, ...file }) => [
		...[file.field, file.fileName, file.mimeType],
		hash,
	]);
	const picture = sha256(tinyPicture('data.png', 'png'));
	expect(received).toEqual(each.files.map(({ name }) => [name, 'data.png', 'image/png', picture]));

	const files = items.flatMap(({ binary }) => Object.values(binary ?? {}));
	expect(files.map(({ fileName, mimeType }) => [fileName, mimeType])).toEqual(
		each.results.map((format, index) => [`${jobId}-${index + 1}.${format}`, `image/${format}`]),
	);
	const urls = each.results.map(
		(format, index) => `${lab.emulator.cdnUrl}/results/${jobId}/${index + 1}.${format}`,
	);
	const hashes = files.map(async (file) => sha256(await lab.n8n.download(file)));
	expect(await Promise.all(hashes)).toEqual(await Promise.all(urls.map(servedSha256)));
});
