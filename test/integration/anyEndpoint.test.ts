import { createHash } from 'node:crypto';
import {
	NodeConnectionTypes,
	type IBinaryKeyData,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeParameters,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';
import { propertiesOf, type Endpoint } from '../../nodes/shared/endpoint';
import { jobProperties } from '../../nodes/shared/properties';
import { runJobs } from '../../nodes/shared/engine/runJobs';
import { tinyPicture } from '../emulator/pictures';
import { runEngine, SERVICE_URL, type EngineResult } from '../support/engine';
import { nock } from '../support/nock';

/** An endpoint of the API document that no node has yet: one image, without which nothing is sent. */
const upscale: Endpoint = {
	path: '/public/v1/image-tune/upscale',
	fields: [
		{
			kind: 'files',
			apiName: 'image',
			noun: 'image',
			names: { displayName: 'Image Field', name: 'imageField', type: 'string', default: 'data' },
			limit: { files: 1 },
		},
		{
			kind: 'value',
			apiName: 'scale',
			property: {
				displayName: 'Scale',
				name: 'scale',
				type: 'options',
				options: [
					{ name: '2K', value: '2K' },
					{ name: '4K', value: '4K' },
				],
				default: '2K',
			},
		},
	],
};

/** All that a node of its own takes. */
class Upscale implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Upscale',
		name: 'upscale',
		group: ['transform'],
		version: 1,
		description: 'Makes an image larger',
		defaults: { name: 'Upscale' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'aetherForgeApi', required: true }],
		properties: [...propertiesOf(upscale), ...jobProperties],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runJobs(this, upscale);
	}
}

const PNG = tinyPicture('small', 'png');
const JOB = '123e4567-e89b-12d3-a456-426614174000';

const photo = { data: PNG.toString('base64'), mimeType: 'image/png', fileName: 'photo.png' };

async function enlarge(
	parameters: INodeParameters,
	binary: IBinaryKeyData = { data: photo },
): Promise<EngineResult> {
	return await runEngine({
		node: new Upscale(),
		parameters: { downloadImages: false, ...parameters },
		items: [{ json: {}, binary }],
	});
}

beforeAll(() => {
	nock.disableNetConnect();
});

afterEach(() => {
	const pending = nock.pendingMocks();
	nock.cleanAll();
	expect(pending).toEqual([]);
});

/** The parts of a multipart body: name, file name, and what they hold. */
function partsOf(body: string): [name: string, fileName: string | undefined, sha256: string][] {
	const [boundary = ''] = body.split('\r\n', 1);
	return body
		.split(boundary)
		.slice(1, -1)
		.map((part) => {
			const [head = '', ...rest] = part.split('\r\n\r\n');
			const content = rest.join('\r\n\r\n').replace(/\r\n$/, '');
			return [
				/ name="([^"]*)"/.exec(head)?.[1] ?? '',
				/filename="([^"]*)"/.exec(head)?.[1],
				createHash('sha256').update(content, 'latin1').digest('hex'),
			];
		});
}

describe('an endpoint that the engine has never seen', () => {
	it('is sent as it is declared, waited for, and repeated in the output', async () => {
		let body = '';
		nock(SERVICE_URL)
			.post(upscale.path, (received: string) => {
				body = Buffer.from(received, 'hex').toString('latin1');
				return true;
			})
			.matchHeader('content-type', /^multipart\/form-data; boundary=/)
			.matchHeader('authorization', 'Bearer test-key')
			.reply(200, { job_id: JOB });
		const urls = ['https://cdn.example/1.png', 'https://cdn.example/2.png'];
		nock(SERVICE_URL)
			.get(`/public/v1/job/${JOB}`)
			.reply(200, { job_id: JOB, status: 'Succeed', image_urls: urls });

		const { items, error } = await enlarge(
			{
				scale: '4K',
				imageField: 'photo',
				options: { outputItems: 'perJob' },
			},
			{ photo },
		);

		expect(error).toBeUndefined();
		expect(items).toEqual([
			{
				json: { job_id: JOB, status: 'Succeed', image_urls: urls, scale: '4K' },
				pairedItem: { item: 0 },
			},
		]);
		const hash = (content: Buffer | string) => createHash('sha256').update(content).digest('hex');
		expect(partsOf(body)).toEqual([
			['scale', undefined, hash('4K')],
			['image', 'photo.png', hash(PNG)],
		]);
	});

	it.each<[string, INodeParameters, IBinaryKeyData, string]>([
		['no image', {}, {}, 'The item has no binary field "data"'],
		[
			'no field',
			{ imageField: ' ' },
			{ data: photo },
			'The "Image Field" parameter names no binary field',
		],
		[
			'two images',
			{ imageField: 'a,b' },
			{ a: photo, b: photo },
			'AetherForge takes up to 1 image, and the item has 2',
		],
		['no scale', { scale: '={{ "" }}' }, { data: photo }, 'The "Scale" parameter is empty'],
	])('is checked as it is declared: %s', async (_, parameters, binary, message) => {
		const { error } = await enlarge(parameters, binary);
		expect(error?.message).toBe(message);
	});

	it('has a dry run', async () => {
		const { items } = await enlarge({ options: { dryRun: true } });
		expect(items.map(({ json }) => json)).toEqual([
			{
				dry_run: true,
				scale: '2K',
				reference_images: [
					{ field: 'data', file_name: 'photo.png', mime_type: 'image/png', bytes: PNG.length },
				],
			},
		]);
	});
});
