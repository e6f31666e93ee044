import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { INode, INodeParameters } from 'n8n-workflow';
import { tinyPicture } from '../emulator/pictures';
import { serve, type TestServer } from '../support/server';
import { credentialType, openLab, sha256, type Lab } from './lab';
import type { Execution, SavedCredential, WorkflowFile } from './real-n8n/rest-client';
import { finishJobs, jobIds, lateJobOfWebhook, runBySending, save } from './scenarios';
import {
	calledByWorkflow,
	callForEachItem,
	chain,
	imageGenerate,
	imageTune,
	manualTrigger,
	oneItem,
	splitOut,
	toFile,
	webhook,
	withCredential,
	workflow,
	type Link,
} from './workflow';

// Input files that are no names of binary fields: those of expressions and those of URLs.

/** n8n 1 ignores the setting by which a workflow keeps its files in the JSON. */
const knowsCombinedMode = process.env.E2E_N8N_RELEASE !== 'n8n-1.123';

/** What is given, its expression, and what has to arrive. */
type Way = [given: string, expression: string, expected: string[][]];

let lab: Lab;

/** The name and the bytes of each file that the service received for a prompt. */
function receivedFor(prompt: string): string[][] {
	const submits = lab.emulator.submits.filter(({ fields }) => fields.prompt === prompt);
	return submits.flatMap(({ files }) => files.map((file) => [file.fileName, file.sha256]));
}

const picture = (name: string): string[] => [name, sha256(tinyPicture(name, 'png'))];

function formOf(pictures: Record<string, string[]>): FormData {
	const form = new FormData();
	for (const [field, names] of Object.entries(pictures)) {
		for (const name of names) {
			form.append(field, new File([tinyPicture(name, 'png')], name, { type: 'image/png' }));
		}
	}
	return form;
}

/** Image Generate with these files and, to be found again, this prompt. */
function generateFrom(files: string, prompt: string): INode {
	return {
		...imageGenerate({
			prompt,
			referenceImages: 'selected',
			binaryPropertyName: files,
			downloadImages: false,
		}),
		name: prompt,
		// One that fails must not keep the others from running.
		onError: 'continueRegularOutput',
	};
}

function expectSuccess(execution: Execution): void {
	expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
}

describe('the files of a webhook, given by', () => {
	const [photo, two] = [picture('photo.png'), picture('two.png')];
	const ofItem: Way[] = [
		['an expression', '={{ $binary.photo }}', [photo]],
		['a list of names and files', "={{ ['two', $binary.photo] }}", [two, photo]],
	];
	const ofEarlierNode: Way[] = [
		['an earlier node’s paired item', "={{ $('Start').item.binary.photo }}", [photo]],
		['an earlier node’s first item', "={{ $('Start').first().binary.two }}", [two]],
		[
			'a list over an earlier node’s items',
			"={{ $('Start').all().map((item) => item.binary.photo) }}",
			[photo],
		],
	];

	beforeAll(async () => {
		lab = await openLab();
		const path = randomUUID();
		const start = webhook(path);
		const drop = oneItem('Drop', { nothing: 'but JSON' });
		const { execution } = await runBySending(
			lab,
			workflow('By expression', [
				...ofItem.map(([prompt, files]): Link => [start, generateFrom(files, prompt)]),
				[start, drop],
				...ofEarlierNode.map(([prompt, files]): Link => [drop, generateFrom(files, prompt)]),
				[
					drop,
					imageTune({
						operation: 'inpaint',
						prompt: 'tune',
						imageField: "={{ $('Start').item.binary.two }}",
					}),
				],
			]),
			`webhook/${path}`,
			formOf({ photo: ['photo.png'], two: ['two.png'] }),
		);
		expectSuccess(execution);
		expect(execution.items('Drop').map(({ binary }) => binary)).toEqual([undefined]);
	});
	afterAll(async () => {
		await lab.close();
	});

	it.each([...ofItem, ...ofEarlierNode])('%s, are sent in that order', (prompt, _, expected) => {
		expect(receivedFor(prompt)).toEqual(expected);
	});

	it('an earlier node’s paired item, are sent by Image Tune too', () => {
		expect(receivedFor('tune')).toEqual([two]);
	});
});

describe('the file of an earlier node', () => {
	beforeAll(async () => {
		lab = await openLab();
	});
	afterAll(async () => {
		await lab.close();
	});

	// n8n gives a pinned node's items for any run that it is asked for.
	it('is sent in a manual run although the output of a node between is pinned', async () => {
		const base64 = tinyPicture('photo.png', 'png').toString('base64');
		const generate = generateFrom("={{ $('To file').first().binary.photo }}", 'pinned');
		const file = workflow(
			'Pinned',
			chain(
				manualTrigger(),
				oneItem('Picture', { picture: base64 }),
				toFile('picture', 'photo'),
				oneItem('Between', {}),
				generate,
			),
		);
		file.pinData = { Between: [{ json: { isPinned: true } }] };
		const saved = await lab.n8n.createWorkflow(withCredential(file, lab.credential));
		const execution = await lab.n8n.runManually(saved, 'Start');
		expectSuccess(execution);
		expect(execution.items('Between').map(({ json }) => json)).toEqual([{ isPinned: true }]);
		expect(receivedFor('pinned')).toEqual([picture('photo.png')]);
	});

	it('is sent where another branch has made it, which the expression names', async () => {
		const base64 = tinyPicture('photo.png', 'png').toString('base64');
		const start = manualTrigger();
		const source = oneItem('Picture', { picture: base64 });
		const file = toFile('picture', 'photo');
		const named = generateFrom("={{ $('To file').first().binary.photo }}", 'named');
		// n8n runs the branch further down later.
		named.position = [0, 300];
		const links: Link[] = [
			[start, source],
			[source, file],
			[start, named],
		];
		const execution = await lab.run(workflow('Branches', links));
		expectSuccess(execution);
		expect(receivedFor('named')).toEqual([picture('photo.png')]);
	});
});

describe('a file whose content is in the JSON, as base64', () => {
	const bytes = tinyPicture('own.png', 'png');
	const base64 = bytes.toString('base64');
	const contents: [string, unknown][] = [
		['in lines of 76 characters', base64.replace(/.{76}/g, '$&\r\n')],
		['with a line break at its end', `${base64}\n`],
		['without padding', base64.replace(/=+$/, '')],
		['as a data URL', `data:image/png;base64,${base64}`],
		['as the bytes of a Buffer', bytes.toJSON()],
	];

	beforeAll(async () => {
		lab = await openLab();
		const file = (data: unknown) => ({ data, mimeType: 'image/png', fileName: 'own.png' });
		const given = oneItem('Given', { files: contents.map(([, data]) => file(data)) });
		const nodes = contents.map(([prompt], index) =>
			generateFrom(`={{ $json.files[${index}] }}`, prompt),
		);
		const links = nodes.map((node): Link => [given, node]);
		await lab.run(workflow('Base64', [...chain(manualTrigger(), given), ...links]));
	}, 400_000);
	afterAll(async () => {
		await lab.close();
	});

	it.each(contents)('%s, is sent byte for byte', (prompt) => {
		expect(receivedFor(prompt)).toEqual([['own.png', sha256(bytes)]]);
	});
});

if (knowsCombinedMode) {
	describe('in a workflow that keeps its files in the JSON, the files of a webhook are found by', () => {
		const [photo] = [picture('photo.png')];
		const ofItem: Way[] = [
			['name', 'photo', [photo]],
			['path', '_files.photo', [photo]],
			['an expression', '={{ $json._files.photo }}', [photo]],
		];
		const ofMoved: Way[] = [
			['path in a list', 'shots[0]', [photo]],
			['an expression for a list', '={{ $json.shots }}', [photo]],
			// n8n gives the JSON itself in place of the item there.
			['an earlier node’s item', "={{ $('Start').item._files.photo }}", [photo]],
		];

		beforeAll(async () => {
			lab = await openLab();
			const path = randomUUID();
			const start = webhook(path);
			const move = oneItem('Move', {});
			move.parameters.jsonOutput = '={{ { shots: [$json._files.photo] } }}';
			const file = workflow('Combined', [
				...ofItem.map(([prompt, files]): Link => [start, generateFrom(files, prompt)]),
				[start, move],
				...ofMoved.map(([prompt, files]): Link => [move, generateFrom(files, prompt)]),
			]);
			const settings = { ...file.settings, binaryMode: 'combined' as const };
			const { execution } = await runBySending(
				lab,
				{ ...file, settings },
				`webhook/${path}`,
				formOf({ photo: ['photo.png'] }),
			);
			expectSuccess(execution);
			for (const name of ['Start', 'Move']) {
				expect(execution.items(name).map(({ binary }) => binary)).toEqual([undefined]);
			}
			expect(execution.items('Move')[0]?.json).not.toHaveProperty('_files');
		});
		afterAll(async () => {
			await lab.close();
		});

		it.each([...ofItem, ...ofMoved])('%s', (prompt, _, expected) => {
			expect(receivedFor(prompt)).toEqual(expected);
		});
	});
}

function combined(file: WorkflowFile): WorkflowFile {
	return { ...file, settings: { ...file.settings, binaryMode: 'combined' } };
}

if (knowsCombinedMode) {
	describe('in workflows that keep their files in the JSON, a file', () => {
		const base64 = tinyPicture('photo.png', 'png').toString('base64');

		beforeEach(async () => {
			lab = await openLab();
		});
		afterEach(async () => {
			await lab.close();
		});

		it('that a sub-workflow is called with is found by name, path, and expression', async () => {
			const start = calledByWorkflow();
			const move = oneItem('Move', {});
			move.parameters.jsonOutput = '={{ { shots: [$json._files.photo] } }}';
			const all = generateFrom('', 'all');
			all.parameters.referenceImages = 'all';
			const nodes = [
				all,
				generateFrom('photo', 'name'),
				generateFrom('_files.photo', 'path'),
				generateFrom('={{ $json._files.photo }}', 'expression'),
			];
			const links = nodes.map((node): Link => [start, node]);
			const moved = chain(start, move, generateFrom('shots[0]', 'elsewhere'));
			const called = await save(lab, combined(workflow('Called', [...links, ...moved])));
			const execution = await lab.run(
				combined(
					workflow(
						'Caller',
						chain(
							manualTrigger(),
							oneItem('Picture', { picture: base64 }),
							toFile('picture', 'photo'),
							callForEachItem(called.id),
						),
					),
				),
			);
			expectSuccess(execution);
			for (const way of ['all', 'name', 'path', 'expression', 'elsewhere']) {
				expect([way, ...receivedFor(way)]).toEqual([way, picture('photo.png')]);
			}
		});

		it('that a sub-workflow returns is sent', async () => {
			const making = [oneItem('Picture', { picture: base64 }), toFile('picture', 'photo')];
			const called = await save(
				lab,
				combined(workflow('Maker', chain(calledByWorkflow(), ...making))),
			);
			const generate = generateFrom('photo', 'returned');
			const caller = chain(manualTrigger(), callForEachItem(called.id), generate);
			const execution = await lab.run(combined(workflow('Caller', caller)));
			expectSuccess(execution);
			// The ID names the workflow that was called.
			expect(JSON.stringify(execution.items('Call'))).toContain(`workflows/${called.id}/`);
			expect(receivedFor('returned')).toEqual([picture('photo.png')]);
		});
	});
}

describe('a file of another workflow, whose ID is in an item’s JSON,', () => {
	beforeEach(async () => {
		lab = await openLab();
	});
	afterEach(async () => {
		await lab.close();
	});

	// n8n 1 ignores the setting: there the files in the JSON are no files.
	it('is refused in every way in a workflow that keeps its files in the JSON', async () => {
		const path = randomUUID();
		const { execution: somebodyElses } = await runBySending(
			lab,
			workflow('Somebody else’s', chain(webhook(path), generateFrom('data', 'own'))),
			`webhook/${path}`,
			formOf({ data: ['secret.png'] }),
		);
		expectSuccess(somebodyElses);
		const file = somebodyElses.items('Start')[0]?.binary?.data;
		expect(file?.id).toMatch(/^filesystem-v2:/);

		const before = lab.emulator.requests.length;
		const given = oneItem('Given', { _files: { secret: file }, shots: [file] });
		const all = generateFrom('', 'all');
		all.parameters.referenceImages = 'all';
		const nodes = [
			all,
			generateFrom('secret', 'name'),
			generateFrom('_files.secret', 'path'),
			generateFrom('={{ $json._files.secret }}', 'expression'),
			generateFrom('shots[0]', 'elsewhere'),
		];
		const links = nodes.map((node): Link => [given, node]);
		const hostile = workflow('Hostile', [...chain(manualTrigger(), given), ...links]);
		const execution = await lab.run(combined(hostile));
		for (const { name } of nodes) {
			expect([name, ...execution.items(name).map(({ json }) => Object.keys(json))]).toEqual([
				name,
				['error'],
			]);
		}
		expect(lab.emulator.requests).toHaveLength(before);
	});

	it('is refused before anything is paid for, although n8n would open it', async () => {
		const path = randomUUID();
		const { execution: somebodyElses } = await runBySending(
			lab,
			workflow('Somebody else’s', chain(webhook(path), generateFrom('data', 'own'))),
			`webhook/${path}`,
			formOf({ data: ['secret.png'] }),
		);
		expectSuccess(somebodyElses);
		expect(receivedFor('own')).toEqual([picture('secret.png')]);
		// After the execution its file has another ID than while it ran.
		const file = somebodyElses.items('Start')[0]?.binary?.data;
		expect(file?.id).toMatch(/^filesystem-v2:/);
		if (file === undefined) throw new Error('The webhook has no file.');
		expect(sha256(await lab.n8n.download(file))).toBe(picture('secret.png')[1]);

		const before = lab.emulator.requests.length;
		const given = [oneItem('Given', { file }), generateFrom('={{ $json.file }}', 'foreign')];
		const execution = await lab.run(workflow('Hostile', chain(manualTrigger(), ...given)));
		expect(execution.items('foreign').map(({ json }) => json)).toEqual([
			{
				error: expect.objectContaining({
					message: 'The file in "Input Data Field Name(s)" does not belong to this execution',
				}) as object,
			},
		]);
		expect(lab.emulator.requests).toHaveLength(before);
	});
});

describe('a file by URL', () => {
	let web: TestServer;
	/** What came in, in order. */
	let visits: IncomingMessage[];

	const sends =
		(name: string): RequestListener =>
		(_, response) => {
			response.writeHead(200, { 'content-type': 'text/plain' }).end(tinyPicture(name, 'png'));
		};
	const pages: Record<string, RequestListener> = {
		'/one.png': sends('one.png'),
		'/two.png': sends('two.png'),
		'/moved': (_, response) => {
			response.writeHead(302, { location: '/one.png' }).end();
		},
		'/page.png': (_, response) => {
			response.writeHead(200, { 'content-type': 'image/png' });
			response.end('<!doctype html><title>Confidential</title>');
		},
	};

	beforeEach(async () => {
		lab = await openLab();
		visits = [];
		web = await serve((request, response) => {
			visits.push(request);
			const page = pages[request.url?.split('?')[0] ?? ''];
			if (page) page(request, response);
			else response.writeHead(404).end('Confidential');
		});
	});
	afterEach(async () => {
		web.close();
		await lab.close();
	});

	const visited = (): unknown[] => visits.map(({ url }) => url);

	function byUrl(urls: string): INodeParameters {
		return { referenceImages: 'urls', referenceImageUrls: urls };
	}

	it('is fetched once for all items, without the API key, and sent in the order of the URLs', async () => {
		const urls = `${web.url}/two.png?signature=a,b, ${web.url}/one.png`;
		const start = [
			manualTrigger(),
			oneItem('Prompts', { prompt: ['a', 'b', 'c'] }),
			splitOut('prompt'),
		];
		const generate = imageGenerate({ prompt: '={{ $json.prompt }}', ...byUrl(urls) });
		expectSuccess(await lab.run(workflow('By URL', chain(...start, generate))));
		for (const prompt of ['a', 'b', 'c']) {
			expect(receivedFor(prompt)).toEqual([picture('two.png'), picture('one.png')]);
		}
		expect(visited().sort()).toEqual(['/one.png', '/two.png?signature=a,b']);
		for (const { headers } of visits) expect(headers).not.toHaveProperty('authorization');
	});

	it('is the one that a redirect leads to, for Image Tune too', async () => {
		const tune = { operation: 'inpaint', prompt: 'tune', imageSource: 'url' };
		const node = imageTune({ ...tune, imageUrl: `${web.url}/moved` });
		expectSuccess(await lab.run(workflow('Redirect', chain(manualTrigger(), node))));
		expect(receivedFor('tune')).toEqual([['moved.png', picture('one.png')[1]]]);
		expect(visited()).toEqual(['/moved', '/one.png']);
	});

	it.each([
		['/page.png', 'the server sent a web page in place of the image'],
		['/gone.png', 'HTTP 404'],
	])('that cannot be had costs nothing for any item: %s', async (path, reason) => {
		const url = [`${web.url}/one.png`, `${web.url}${path}?signature=private`];
		const generate = imageGenerate({ prompt: 'a', ...byUrl('={{ $json.url }}') });
		const start = [manualTrigger(), oneItem('URLs', { url }), splitOut('url')];
		const execution = await lab.run(workflow('Refused', chain(...start, generate)));
		expect([execution.status, execution.errorMessage]).toEqual([
			'error',
			`The image at ${web.url}${path} could not be fetched`,
		]);
		const [run] = execution.runData.Generate ?? [];
		const { description } = run?.error ?? {};
		expect(description).toContain(`Reason: ${reason}`);
		expect(description).toContain('No job was started, and nothing was charged.');
		expect(description).not.toMatch(/private|Confidential/);
		expect(lab.emulator.requests).toEqual([]);
	});

	it('is not fetched again for a job that Retry in the executions list resumes', async () => {
		const generate = imageGenerate({
			prompt: 'Late #never',
			...byUrl(`${web.url}/one.png`),
			options: { timeout: 1 },
		});
		const { execution } = await lateJobOfWebhook(lab, generate);
		expect(visited()).toEqual(['/one.png']);
		finishJobs(lab);
		const retried = await lab.n8n.retry(execution.id);
		expectSuccess(retried);
		expect(jobIds(retried)).toEqual([lab.emulator.submits[0]?.jobId]);
		expect(lab.emulator.submits).toHaveLength(1);
		expect(visited()).toEqual(['/one.png']);
	});
});

// Older n8n have no protection: they fetch from wherever they can.
if (process.env.E2E_N8N_RELEASE === 'n8n-2.41') {
	describe('a file by URL, with n8n’s SSRF protection switched on,', () => {
		let web: TestServer;
		let visited: unknown[];
		/** The API by the only name of this machine that n8n may connect to. */
		let credential: SavedCredential;

		beforeAll(async () => {
			web = await serve((request, response) => {
				visited.push(request.url);
				if (request.url === '/to-blocked') {
					response.writeHead(302, { location: `${web.url}/one.png` }).end();
				} else {
					response.writeHead(200).end(tinyPicture('one.png', 'png'));
				}
			});
		});
		beforeEach(async () => {
			visited = [];
			lab = await openLab();
			credential = await lab.n8n.createCredential('Allowed', credentialType, {
				apiKey: lab.apiKey,
				baseUrl: allowed(lab.emulator.apiUrl),
			});
		});
		afterEach(async () => {
			await lab.close();
		});
		afterAll(async () => {
			web.close();
			await lab.restartN8n();
		}, 200_000);

		const allowed = (url: string): string => url.replace('127.0.0.1', 'localhost');

		async function protect(exceptions: Record<string, string>): Promise<void> {
			await lab.restartN8n({ N8N_SSRF_PROTECTION_ENABLED: 'true', ...exceptions });
			await lab.n8n.signIn();
		}

		async function generateBy(url: string): Promise<Execution> {
			const node = imageGenerate({
				prompt: 'a fox',
				referenceImages: 'urls',
				referenceImageUrls: url,
				downloadImages: false,
			});
			const file = withCredential(workflow('By URL', chain(manualTrigger(), node)), credential);
			return await lab.n8n.runManually(await lab.n8n.createWorkflow(file), 'Start');
		}

		it('is refused in n8n’s words where its host is not allowed, and nothing is paid', async () => {
			await protect({ N8N_SSRF_ALLOWED_HOSTNAMES: 'localhost' });
			const direct = await generateBy(`${web.url}/one.png`);
			expect(direct.errorMessage).toBe(`The image at ${web.url}/one.png could not be fetched`);
			expect(visited).toEqual([]);
			const redirecting = allowed(`${web.url}/to-blocked`);
			const redirected = await generateBy(redirecting);
			expect(redirected.errorMessage).toBe(`The image at ${redirecting} could not be fetched`);
			// Once: what is blocked is not tried again.
			expect(visited).toEqual(['/to-blocked']);
			const said = [direct, redirected].map(
				({ runData }) => runData.Generate?.[0]?.error?.description,
			);
			for (const each of said) {
				expect(each).toMatch(
					/SSRF protection: The target 127\.0\.0\.1 is not allowed\. .*[^.]\. Check/,
				);
			}
			expect(lab.emulator.requests).toEqual([]);

			const good = await generateBy(allowed(`${web.url}/one.png`));
			expectSuccess(good);
			expect(receivedFor('a fox')).toEqual([picture('one.png')]);
			expect(visited).toEqual(['/to-blocked', '/one.png']);
		}, 200_000);

		it('is sent where its IP range is allowed', async () => {
			await protect({ N8N_SSRF_ALLOWED_IP_RANGES: '127.0.0.0/8' });
			expectSuccess(await generateBy(`${web.url}/one.png`));
			expect(receivedFor('a fox')).toEqual([picture('one.png')]);
			expect(visited).toEqual(['/one.png']);
		}, 200_000);
	});
}
