import { randomBytes, randomUUID } from 'node:crypto';
import type { INode } from 'n8n-workflow';
import { tinyPicture } from '../emulator/pictures';
import {
	credentialType,
	expectSuccess,
	isN8n1,
	isNewest,
	servedSha256,
	sha256,
	useLab,
} from './lab';
import type { WorkflowFile } from './real-n8n/rest-client';
import { pictureForm } from './scenarios';
import {
	chain,
	combined,
	imageGenerate,
	imageTune,
	manualTrigger,
	oneItem,
	pictureNodes,
	webhook,
	withCredential,
	workflow,
	type Link,
} from './workflow';

const lab = useLab();

/** Of what gives files: a prompt must look like no expression. */
const plain = (files: string): string => files.replace(/[={}]/g, '').trim();

/** The name and the bytes of each file that the service received for a prompt. */
function receivedFor(prompt: string): string[][] {
	const submits = lab.emulator.submits.filter(({ fields }) => fields.prompt === prompt);
	return submits.flatMap(({ files }) => files.map((file) => [file.fileName, file.sha256]));
}

const hashOf = (name: string): string => sha256(tinyPicture(name, 'png'));
const photo = ['photo.png', hashOf('photo.png')];

/** How files are given, and what has to arrive of them. */
type Ways = Readonly<Record<string, string[][]>>;

/** Image Generate with these files and, to be found again, with what gives them as its prompt and name. */
function generate(files: string): INode {
	return {
		...imageGenerate({
			prompt: plain(files),
			referenceImages: files === 'all' ? 'all' : 'selected',
			binaryPropertyName: files,
			downloadImages: false,
		}),
		name: plain(files),
		// One that fails must not keep the others from running.
		onError: 'continueRegularOutput',
	};
}

/** Each way by a node of its own. */
function by(before: INode, ways: Ways): Link[] {
	return Object.keys(ways).map((files) => [before, generate(files)]);
}

function expectReceived(ways: Ways): void {
	const received = Object.keys(ways).map((files) => [files, receivedFor(plain(files))]);
	expect(Object.fromEntries(received)).toEqual(ways);
}

it('the files of a webhook reach the API byte for byte, by name and by expressions of any node', async () => {
	const large = Buffer.concat([tinyPicture('large', 'png'), randomBytes(4_000_000)]);
	const form = pictureForm({ photo: 'photo.png', two: 'ü.png' });
	form.append('large', new File([large], 'a b.png', { type: 'image/png' }));
	const two = ['ü.png', hashOf('ü.png')];
	const third = ['a b.png', sha256(large)];
	const ofItem = {
		'two, large, photo': [two, third, photo],
		all: [third, photo, two],
		'={{ $binary.photo }}': [photo],
		"={{ ['two', $binary.photo] }}": [two, photo],
	};
	const ofEarlierNode = {
		"={{ $('Start').item.binary.photo }}": [photo],
		"={{ $('Start').first().binary.two }}": [two],
		"={{ $('Start').all().map((item) => item.binary.photo) }}": [photo],
	};
	const path = randomUUID();
	const start = webhook(path);
	const drop = oneItem('Drop', { nothing: 'but JSON' });
	const imageField = "={{ $('Start').item.binary.two }}";
	const inpaint = imageTune({ operation: 'inpaint', prompt: 'tune', imageField });
	const links = [...by(start, ofItem), ...chain(start, drop), ...by(drop, ofEarlierNode)];
	const file = workflow('Upload', [...links, [drop, inpaint]]);
	const { execution } = await lab.send(file, `webhook/${path}`, form);
	expectSuccess(execution);
	expect(execution.items('Drop').map(({ binary }) => binary)).toEqual([undefined]);
	expectReceived({ ...ofItem, ...ofEarlierNode });
	expect(receivedFor('tune')).toEqual([two]);
});

it('a file is sent that another branch has made, which the expression names', async () => {
	const files = "={{ $('To file').first().binary.photo }}";
	const start = manualTrigger();
	// n8n runs the branch further down later.
	const named: INode = { ...generate(files), position: [0, 300] };
	const making = chain(start, ...pictureNodes(tinyPicture('photo.png', 'png')));
	expectSuccess(await lab.run(workflow('Branches', [...making, [start, named]])));
	expectReceived({ [files]: [photo] });
});

// n8n 1 ignores the setting by which a workflow keeps its files in the JSON.
if (!isN8n1) {
	it('the files in the JSON of a workflow are found by name, path, and expression', async () => {
		const ofItem = {
			photo: [photo],
			'_files.photo': [photo],
			'={{ $json._files.photo }}': [photo],
		};
		const ofMoved = {
			'shots[0]': [photo],
			'={{ $json.shots }}': [photo],
			// n8n gives the JSON itself in place of the item there.
			"={{ $('Start').item._files.photo }}": [photo],
		};
		const move = oneItem('Move', '={{ { shots: [$json._files.photo] } }}');
		const path = randomUUID();
		const start = webhook(path);
		const links = [...by(start, ofItem), ...chain(start, move), ...by(move, ofMoved)];
		const file = combined(workflow('Combined', links));
		const form = pictureForm({ photo: 'photo.png' });
		const { execution } = await lab.send(file, `webhook/${path}`, form);
		expectSuccess(execution);
		for (const name of ['Start', 'Move']) {
			expect(execution.items(name).map(({ binary }) => binary)).toEqual([undefined]);
		}
		expect(execution.items('Move')[0]?.json).not.toHaveProperty('_files');
		expectReceived({ ...ofItem, ...ofMoved });
	});
}

// n8n would open it by its ID. In the JSON of n8n 1 there are no files, whatever a workflow is set to.
const notOwn = 'does not belong to this execution';
it.each<[string, (file: WorkflowFile) => WorkflowFile, string]>([
	['keeps its files in the JSON', combined, isN8n1 ? notOwn : 'belongs to another workflow'],
	['does not', (file) => file, notOwn],
])('no file of another workflow is sent in one that %s, and nothing is paid', async (...row) => {
	const [, kept, reason] = row;
	const path = randomUUID();
	const owners = workflow('Somebody else’s', chain(webhook(path), generate('data')));
	const form = pictureForm({ data: 'secret.png' });
	const { execution: theirs } = await lab.send(owners, `webhook/${path}`, form);
	expectSuccess(theirs);
	// After the execution its file has another ID than while it ran.
	const file = theirs.items('Start')[0]?.binary?.data;
	if (file === undefined) throw new Error('The webhook has no file.');
	expect(file.id).toMatch(/^filesystem-v2:/);
	expect(sha256(await lab.n8n.download(file))).toBe(hashOf('secret.png'));

	const before = lab.emulator.requests.length;
	const given = oneItem('Given', { file, _files: { secret: file }, shots: [file] });
	const foreign = '={{ $json.file }}';
	const ways = [
		foreign,
		'all',
		'secret',
		'_files.secret',
		'={{ $json._files.secret }}',
		'shots[0]',
	];
	const links = ways.map((way): Link => [given, generate(way)]);
	const hostile = workflow('Hostile', [...chain(manualTrigger(), given), ...links]);
	const execution = await lab.run(kept(hostile));
	const message = `The file in "Input Data Field Name(s)" ${reason}`;
	for (const way of ways) {
		const error = way === foreign ? { message } : {};
		const items = execution.items(plain(way)).map(({ json }) => json);
		expect([way, items]).toEqual([way, [{ error: expect.objectContaining(error) as object }]]);
	}
	expect(lab.emulator.requests).toHaveLength(before);
});

// Older n8n have no SSRF protection: they fetch from wherever they can.
if (isNewest) {
	describe('a file by URL', () => {
		afterAll(async () => {
			await lab.restartN8n();
		}, 200_000);

		it('is refused in n8n’s words where SSRF protection blocks it, and nothing is paid', async () => {
			const N8N_SSRF_ALLOWED_HOSTNAMES = 'localhost';
			await lab.restartN8n({ N8N_SSRF_PROTECTION_ENABLED: 'true', N8N_SSRF_ALLOWED_HOSTNAMES });
			/** This machine by the only name that n8n may connect to. */
			const allowed = (url: string): string => url.replace('127.0.0.1', 'localhost');
			const { cdnUrl, apiUrl, jobs, faults, submits } = lab.emulator;
			const data = { apiKey: lab.apiKey, baseUrl: allowed(apiUrl) };
			const credential = await lab.n8n.createCredential('By URL', credentialType, data);
			const generateBy = async (referenceImageUrls: string) => {
				// The result would be blocked, too.
				const of = { referenceImages: 'urls', referenceImageUrls, downloadImages: false };
				const node = imageGenerate({ prompt: 'a', ...of });
				const file = withCredential(workflow('URL', chain(manualTrigger(), node)), credential);
				return await lab.n8n.runManually(await lab.n8n.createWorkflow(file), 'Start');
			};
			const image = `${cdnUrl}/results/${jobs.add({ durationMs: 0 }).id}/1.png`;
			faults.add({ at: 'download', kind: 'redirect', to: image });
			for (const url of [image, allowed(image)]) {
				const { errorMessage, runData } = await generateBy(url);
				const shown = `${new URL(url).origin}/…/1.png`;
				expect(errorMessage).toBe(`The image at ${shown} could not be fetched`);
				expect(runData.Generate?.[0]?.error?.description).toMatch(
					/SSRF protection: The target 127\.0\.0\.1 is not allowed\. .*[^.]\. Check/,
				);
			}
			// Each is tried once, and only the redirect was reached.
			expect(lab.emulator.requests.map(({ fault }) => fault)).toEqual(['redirect']);
			expectSuccess(await generateBy(allowed(image)));
			expect(submits.map(({ files }) => files.map((file) => file.sha256))).toEqual([
				[await servedSha256(image)],
			]);
		}, 200_000);
	});
}
