import fc from 'fast-check';
import { detailOf, excerptOf, parseJson } from '../../nodes/shared/api/answer';
import { jobIdFrom, jobStateFrom } from '../../nodes/shared/api/job';

const JOB = '123e4567-e89b-12d3-a456-426614174000';

describe('the JSON of an answer', () => {
	it('is read whatever it is, with a byte order mark in front of it or without', () => {
		fc.assert(
			fc.property(fc.jsonValue(), (value) => {
				const text = JSON.stringify(value);
				expect(parseJson(text)).toEqual(JSON.parse(text));
				expect(parseJson(`\ufeff${text}`)).toEqual(JSON.parse(text));
			}),
		);
	});

	it.each(['', '<html></html>', '{"job_id": "1"', '{"a":1}{"b":2}', 'undefined'])(
		'is missing in %j',
		(text) => {
			expect(parseJson(text)).toBeUndefined();
		},
	);
});

describe('the job ID in the answer to a submit', () => {
	it('is taken as it is', () => {
		expect(jobIdFrom({ job_id: JOB })).toBe(JOB);
		expect(jobIdFrom({ job_id: 'job_1' })).toBe('job_1');
	});

	it.each<[unknown]>([
		[{}],
		[{ job_id: '' }],
		[{ job_id: 7 }],
		[{ job_id: null }],
		[{ job_id: '../user' }],
		[{ job_id: 'a b' }],
		[{ job_id: `${JOB}\n` }],
		[{ job_id: 'x'.repeat(129) }],
		[[{ job_id: JOB }]],
		[JOB],
		[null],
		[undefined],
	])('is missing in %j', (body) => {
		expect(jobIdFrom(body)).toBeUndefined();
	});

	it('never changes the path of the URL that it becomes part of', () => {
		fc.assert(
			fc.property(fc.string(), (text) => {
				const jobId = jobIdFrom({ job_id: text });
				fc.pre(jobId !== undefined);
				expect(new URL(`https://api.example/job/${jobId}`).pathname).toBe(`/job/${jobId}`);
			}),
		);
	});
});

describe('the job in the answer to a status check', () => {
	const urlsOf = (imageUrls: unknown) =>
		jobStateFrom({ status: 'Succeed', image_urls: imageUrls }, JOB)?.imageUrls;

	it.each<[urls: unknown, read: string[]]>([
		[
			['u1', 'u2'],
			['u1', 'u2'],
		],
		['u1', ['u1']],
		[{ url: 'u1' }, ['u1']],
		[
			[{ url: 'u1' }, { imageUrl: 'u2' }, { contentUrl: 'u3' }, 'u4'],
			['u1', 'u2', 'u3', 'u4'],
		],
		[[{ url: null, imageUrl: 'u1' }], ['u1']],
		[['', 'u1', null, 7, ['u2'], {}, { url: '' }], ['u1']],
		[[], []],
		[null, []],
		['', []],
		[7, []],
		[{}, []],
	])('has of the image_urls %j the URLs %j', (urls, read) => {
		expect(urlsOf(urls)).toEqual(read);
	});

	it('has no URLs when the answer has no image_urls', () => {
		expect(jobStateFrom({ status: 'Pending' }, JOB)).toEqual({
			jobId: JOB,
			status: 'Pending',
			imageUrls: [],
		});
	});

	it('keeps the URLs of a status that is not documented, and the ID that was asked for', () => {
		const body = { job_id: 'another', status: 'Uploading', image_urls: ['u1'] };
		expect(jobStateFrom(body, JOB)).toEqual({ jobId: JOB, status: 'Uploading', imageUrls: ['u1'] });
	});

	it.each<[message: unknown, read: string | undefined]>([
		['Policy', 'Policy'],
		[{ message: 'Policy', code: 3 }, 'Policy'],
		[{ code: 3 }, '{"code":3}'],
		[['Policy'], '["Policy"]'],
		[3, '3'],
		['x'.repeat(900), 'x'.repeat(900)],
		['', undefined],
		[null, undefined],
		[undefined, undefined],
	])('reads the error_message %j', (message, read) => {
		const job = jobStateFrom({ status: 'Failed', error_message: message }, JOB);
		expect(job?.errorMessage).toBe(read);
		expect(job && 'errorMessage' in job).toBe(read !== undefined);
	});

	it.each<[unknown]>([[null], [[]], ['Succeed'], [{}], [{ status: 3 }], [{ status: null }]])(
		'is missing in %j',
		(body) => {
			expect(jobStateFrom(body, JOB)).toBeUndefined();
		},
	);

	it('can be read from any JSON without throwing, and has only texts for URLs', () => {
		fc.assert(
			fc.property(fc.jsonValue(), fc.jsonValue(), (urls, message) => {
				const body = { status: 'Failed', image_urls: urls, error_message: message };
				const job = jobStateFrom(body, JOB);
				for (const url of job?.imageUrls ?? []) expect(url).toMatch(/^[^]+$/);
			}),
		);
	});
});

describe("the API's own words", () => {
	it.each<[body: string, detail: string]>([
		['{"detail":"Invalid image file"}', 'Invalid image file'],
		['\ufeff{"detail":"Invalid image file"}', 'Invalid image file'],
		[
			'{"detail":[{"loc":["body","prompt"],"msg":"Field required"},{"loc":["body","rows",0],"msg":"Wrong"}]}',
			'prompt: Field required; rows.0: Wrong',
		],
		['{"detail":[{"loc":["path","job_id"],"msg":"No UUID"}]}', 'job_id: No UUID'],
		['{"detail":[{"msg":"Wrong"},"so it is"]}', 'Wrong; so it is'],
		['{"detail":""}', '{"detail":""}'],
		['{"message":"no"}', '{"message":"no"}'],
		['<html><title> 502  Bad\nGateway </title><body>nginx</body></html>', '502 Bad Gateway'],
		['<html><body><h1>Sorry</h1> we are <b>down</b></body></html>', 'Sorry we are down'],
		['', 'an empty response'],
		[' \n', 'an empty response'],
	])('in %j are %j', (body, detail) => {
		expect(detailOf(body)).toBe(detail);
	});

	it('are shortened, and an excerpt is a single line', () => {
		expect(detailOf(JSON.stringify({ detail: 'x'.repeat(9000) }))).toHaveLength(500);
		expect(excerptOf('x'.repeat(9000))).toHaveLength(200);
		// A pattern that looks for the end of each of these would take hours.
		expect(excerptOf('<title'.repeat(1_000_000))).toHaveLength(200);
		fc.assert(
			fc.property(fc.string({ maxLength: 400 }), (text) => {
				expect(excerptOf(text)).toMatch(/^\S(.*\S)?$/);
			}),
		);
	});
});
