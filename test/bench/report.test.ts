import { badDaySection, withSection, type BadDayRow } from './report';

const row: BadDayRow = {
	title: 'Stop',
	way: 'this node',
	paid: 20,
	images: 0,
	lost: 1,
	onlyInLog: 19,
	seconds: 0.7,
	retries: 0,
	ending: 'canceled',
};

describe('the section on bad days', () => {
	it('tells IDs that are lost from those that are in the log only', () => {
		expect(badDaySection([row])).toContain(
			'| Stop | this node | 20 | 0 | 1 (19 in the log only) | 1 | canceled |',
		);
	});

	it('names what happened once, and how often Retry was pressed', () => {
		const later = { ...row, way: 'Loop', onlyInLog: 0, retries: 2, ending: 'error' };
		expect(badDaySection([row, later])).toContain(
			'|  | Loop | 20 | 0 | 1 | 1 | error after 2 × Retry |',
		);
	});

	it('is put before how it is measured, and replaced where it is', () => {
		const page = '# Benchmarks\n\n## Goals\n\nmet\n\n## How it is measured\n\nSo.\n';
		const first = withSection(page, badDaySection([row]));
		expect(first.split('\n').filter((line) => line.startsWith('## '))).toEqual([
			'## Goals',
			'## What a bad day costs',
			'## How it is measured',
		]);
		expect(withSection(first, badDaySection([{ ...row, paid: 7 }]))).toBe(
			first.replace('| 20 |', '| 7 |'),
		);
	});

	it('is refused by a page without that heading', () => {
		expect(() => withSection('# Something else\n', badDaySection([row]))).toThrow('has no');
	});
});
