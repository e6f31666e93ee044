import { detailOf, excerptOf, parseJson } from '../../nodes/shared/api/answer';
import { isFinished, jobIdFrom, jobStateFrom } from '../../nodes/shared/api/job';

const JOB = '123e4567-e89b-12d3-a456-426614174000';

it('JSON is read with a byte order mark in front of it or without, if it is whole', () => {
	const texts = ['\ufeff{"a":[1]}', '{"a":[1]}', '', '{"job_id": "1"', '{"a":1}{"b":2}'];
	expect(texts.map(parseJson)).toEqual([{ a: [1] }, { a: [1] }, undefined, undefined, undefined]);
});

it('the job ID in the answer to a submit is taken as it is, where it can be part of a URL', () => {
	const other = ['', 7, null, '../user', 'a b', `${JOB}\n`, 'x'.repeat(129)];
	const bodies = [JOB, 'job_1', ...other].map((jobId) => ({ job_id: jobId }));
	const read = [...bodies, {}, [{ job_id: JOB }], JOB, null].map(jobIdFrom);
	expect(read.filter((jobId) => jobId !== undefined)).toEqual([JOB, 'job_1']);
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
		[{ message: 'Policy', code: 3 }, 'Policy'],
		[{ code: 3 }, '{"code":3}'],
		[['Policy'], '["Policy"]'],
		[3, '3'],
		['', undefined],
		[null, undefined],
	])('reads the error_message %j as %j', (message, read) => {
		const job = jobStateFrom({ status: 'Failed', error_message: message }, JOB);
		const said = read === undefined ? {} : { errorMessage: read };
		expect(job).toStrictEqual({ jobId: JOB, status: 'Failed', imageUrls: [], ...said });
	});

	it('is missing where there is no status, and finished only with one that is documented', () => {
		const bodies = [null, [[]], 'Succeed', {}, { status: 3 }];
		expect(bodies.filter((body) => jobStateFrom(body, JOB) !== undefined)).toEqual([]);
		const others = ['Pending', 'succeed', 'FAILED', ' Failed', 'Succeeded', ''];
		expect(['Succeed', ...others, 'Failed'].filter(isFinished)).toEqual(['Succeed', 'Failed']);
	});
});

describe("the API's own words", () => {
	const field = (msg: string, ...loc: unknown[]) => ({ loc: ['body', ...loc], msg });
	const detail = (value: unknown): string => JSON.stringify({ detail: value });

	it.each([
		[detail('Invalid image file'), 'Invalid image file'],
		[detail([field('Required', 'prompt'), field('No', 'rows', 0)]), 'prompt: Required; rows.0: No'],
		[detail([{ loc: ['path', 'job_id'], msg: 'No UUID' }]), 'job_id: No UUID'],
		[detail([{ msg: 'Wrong' }, 'so it is']), 'Wrong; so it is'],
		[detail(''), '{"detail":""}'],
		['{"message":"no"}', '{"message":"no"}'],
		['<html><title> 502  Bad\nGateway </title><body>nginx</body></html>', '502 Bad Gateway'],
		['<html><body><h1>Sorry</h1> we are <b>down</b></body></html>', 'Sorry we are down'],
		[' \n', 'an empty response'],
	])('in %j are %j', (body, words) => {
		expect(detailOf(body)).toBe(words);
	});

	it('are shortened', () => {
		expect(detailOf(detail('x'.repeat(9000)))).toHaveLength(500);
		// A pattern that looks for the end of each of these would take hours.
		expect(excerptOf('<title'.repeat(1_000_000))).toHaveLength(200);
	});
});
