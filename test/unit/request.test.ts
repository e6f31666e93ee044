import type { JobRequest } from '../../nodes/shared/endpoint';
import { CheckedRequests } from '../../nodes/shared/engine/request';

function requestOf(characters: number): JobRequest {
	return { path: '/', values: { prompt: 'x'.repeat(characters) }, files: [] };
}

describe('checked requests', () => {
	it('are handed out as they were checked, once', () => {
		const checked = new CheckedRequests();
		const requests = [requestOf(10), requestOf(20)];
		requests.forEach((request, itemIndex) => {
			checked.keep(itemIndex, request);
		});
		expect(checked.take(1)).toBe(requests[1]);
		expect(checked.take(0)).toBe(requests[0]);
		expect(checked.take(1)).toBeUndefined();
		expect(checked.take(2)).toBeUndefined();
	});

	it('are kept up to a million characters in all, and there is room again for what was taken', () => {
		const checked = new CheckedRequests();
		checked.keep(0, requestOf(600_000));
		checked.keep(1, requestOf(600_000));
		checked.keep(2, requestOf(400_000));
		expect(checked.take(1)).toBeUndefined();
		expect(checked.take(0)).toBeDefined();
		checked.keep(3, requestOf(600_000));
		expect(checked.take(3)).toBeDefined();
		expect(checked.take(2)).toBeDefined();
	});
});
