import { createHash } from 'node:crypto';

import { tinyPicture } from '../emulator/pictures';
import { storeBinary } from '../support/engine';
import { useScene } from '../support/scene';

const scene = useScene({ jobDurationMs: 0 });

it('a prompt of 100 kB with every plane of Unicode arrives intact, and comes out unchanged', async () => {
	const planes = Array.from({ length: 17 }, (_, plane) =>
		[0x21, 0x3b1, 0x4e2d, 0xfffd].map((offset) => String.fromCodePoint(plane * 0x10000 + offset)),
	);
	const tricky = `"quoted" \\ \u0000 \u202e --boundary\r\nContent-Disposition: form-data; name="x"\r\n\r\n`;
	const prompt = `${planes.flat().join('')}${tricky}\n\r`.repeat(400);
	expect(Buffer.byteLength(prompt)).toBeGreaterThanOrEqual(100_000);
	const { items } = await scene.generate(
		{ prompt: '={{ $json.prompt }}', downloadImages: false },
		{ items: [{ json: { prompt } }] },
	);
	// Text fields of a multipart form have CRLF for line ends (RFC 7578 leaves it to the sender; axios does it).
	expect(scene.paidPrompts()).toEqual([prompt.replace(/\r\n|\r|\n/g, '\r\n')]);
	expect(scene.emulator.submits[0]?.fields).not.toHaveProperty('x');
	expect(items[0]?.json.prompt).toBe(prompt);
});

it('a hundred items come out in order, and leave no listeners behind', async () => {
	const warnings: string[] = [];
	const onWarning = ({ message }: Error) => warnings.push(message);
	// Jest gives tests a copy of `process`, which hears nothing of Node.js' warnings.
	const nodeProcess = process.getBuiltinModule('node:process').on('warning', onWarning);
	const names = Array.from({ length: 100 }, (_, id) => `item ${id}`);
	const { items } = await scene.generate(
		{ prompt: '={{ $json.name }}', downloadImages: false },
		{ items: names.map((name) => ({ json: { name } })) },
	);
	// They come a moment later.
	await new Promise((resolve) => setImmediate(resolve));
	nodeProcess.off('warning', onWarning);
	expect(items.map(({ json }) => json.prompt)).toEqual(names);
	expect(scene.emulator.submits).toHaveLength(names.length);
	expect(warnings).toEqual([]);
});

it.each(['submit', 'poll'] as const)('an API that floods at %s is cut off', async (at) => {
	const when = at === 'submit' ? { when: 'accepted' as const } : {};
	scene.emulator.faults.add({ at, kind: 'endlessBody', times: Infinity, ...when });
	const { error } = await scene.generate({ options: { timeout: 60 } });
	expect(`${error?.message} ${error?.description}`).toMatch(/larger than 1 MB/);
});

it.each([
	['quotes', 'a "b" \'c\'.png'],
	['line ends', 'a\r\nContent-Type: text/html\r\n\r\nb.png'],
	['folders', '../../etc/passwd.png'],
	['Unicode', 'Ünïcödé 中文 😀 \u202egnp.exe'],
	['a lone surrogate', 'a\ud800b.png'],
	['length', `${'x'.repeat(5000)}.png`],
	['a semicolon', 'a; filename="evil.php"; b.png'],
	['nothing but spaces', '   '],
])('file names with %s are sent as harmless ones, and the bytes arrive', async (_, fileName) => {
	const bytes = tinyPicture('hostile', 'png');
	const data = await storeBinary(bytes, fileName, 'image/png');
	const { error } = await scene.generate(
		{ referenceImages: 'all', waitForCompletion: false },
		{ items: [{ json: {}, binary: { data } }] },
	);
	expect(error).toBeUndefined();
	const [submit] = scene.emulator.submits;
	expect(Object.keys(submit?.fields ?? {}).sort()).toEqual(['ai_model', 'prompt']);
	const sha256 = createHash('sha256').update(bytes).digest('hex');
	expect(submit?.files).toMatchObject([{ field: 'ref_images', mimeType: 'image/png', sha256 }]);
	const sent = submit?.files[0]?.fileName ?? '';
	expect(sent).toMatch(/^[^/\\\p{Cc}]+$/u);
	expect(sent.length).toBeLessThanOrEqual(300);
});
