import { detailOf, excerptOf, parseJson } from '../../nodes/shared/api/answer';
import { isFinished, jobIdFrom, jobStateFrom } from '../../nodes/shared/api/job';

const JOB = '123e4567-e89b-12d3-a456-426614174000';

it('the JSON of an answer is read with a byte order mark in front of it or without, if it is one', () => {
	expect(parseJson('\ufeff{"a":[1]}')).toEqual({ a: [1] });
	expect(parseJson('{"a":[1]}')).toEqual({ a: [1] });
	for (const text of ['', '<html></html>', '{"job_id": "1"', '{"a":1}{"b":2}']) {
		expect([text, parseJson(text)]).toEqual([text, undefined]);
	}
});

describe('the job ID in the answer to a submit', () => {
	it('is taken as it is, where it can be part of a URL', () => {
		const other = ['', 7, null, '../user', 'a b', `${JOB}\n`, 'x'.repeat(129)];
		const bodies = [JOB, 'job_1', ...other].map((jobId) => ({ job_id: jobId }));
		const read = [...bodies, {}, [{ job_id: JOB }], JOB, null].map(jobIdFrom);
		expect(read.filter((jobId) => jobId !== undefined)).toEqual([JOB, 'job_1']);
	});
});

describe('the job in the answer to a status check', () => {
	it.each<[urls: unknown, read: string]>([
		[['u1', 'u2'], 'u1 u2'],
		['u1', 'u1'],
		[{ url: 'u1' }, 'u1'],
		[[{ imageUrl: 'u2' }, { contentUrl: 'u3' }, 'u4'], 'u2 u3 u4'],
		[[{ url: null, imageUrl: 'u1' }], 'u1'],
		[['', 'u1', null, 7, ['u2'], {}, { url: '' }], 'u1'],
		[null, ''],
		['', ''],
		[undefined, ''],
	])('has of the image_urls %j the URLs %j, whatever its status', (urls, read) => {
		const body = { job_id: 'another', status: 'Uploading', image_urls: urls };
		const imageUrls = read.split(' ').filter(Boolean);
		expect(jobStateFrom(body, JOB)).toEqual({ jobId: JOB, status: 'Uploading', imageUrls });
	});

	it.each<[message: unknown, read: string | undefined]>([
		['Policy', 'Policy'],
		[{ message: 'Policy', code: 3 }, 'Policy'],
		[{ code: 3 }, '{"code":3}'],
		[['Policy'], '["Policy"]'],
		[3, '3'],
		['', undefined],
		[null, undefined],
	])('reads the error_message %j', (message, read) => {
		const job = jobStateFrom({ status: 'Failed', error_message: message }, JOB);
		expect(job).toMatchObject(read === undefined ? { status: 'Failed' } : { errorMessage: read });
		expect(job && 'errorMessage' in job).toBe(read !== undefined);
	});

	it.each<unknown>([null, [[]], 'Succeed', {}, { status: 3 }])('is missing in %j', (body) => {
		expect(jobStateFrom(body, JOB)).toBeUndefined();
	});

	it('is finished only with a status that is documented as an end', () => {
		const others = ['Pending', 'succeed', 'FAILED', ' Failed', 'Succeeded', ''];
		expect(['Succeed', ...others, 'Failed'].filter(isFinished)).toEqual(['Succeed', 'Failed']);
	});
});

describe("the API's own words", () => {
	it.each<[body: string, detail: string]>([
		['{"detail":"Invalid image file"}', 'Invalid image file'],
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
		[' \n', 'an empty response'],
	])('in %j are %j', (body, detail) => {
		expect(detailOf(body)).toBe(detail);
	});

	it('are shortened', () => {
		expect(detailOf(JSON.stringify({ detail: 'x'.repeat(9000) }))).toHaveLength(500);
		// A pattern that looks for the end of each of these would take hours.
		expect(excerptOf('<title'.repeat(1_000_000))).toHaveLength(200);
	});
});
