import { createCanvas, loadImage } from '@napi-rs/canvas';
import FormData from 'form-data';
import { draw } from './draw';
import { startEmulator } from '../emulator';
import { Jobs, type ImageFormat, type Job, type PictureSubject } from '../jobs';
import type { KeptFile } from '../form';

const SUBJECT = { prompt: 'A lighthouse', model: 'GPT Image 2', references: [] };

function jobOf(subject: Partial<PictureSubject>, id = 'a', images: ImageFormat[] = ['png']): Job {
	const jobs = new Jobs(() => 0, { durationMs: 0, imagesPerJob: 1 });
	return jobs.add({ id, subject: { ...SUBJECT, ...subject }, outcome: { images } });
}

/** A reference image all in one color that no landscape has. */
function redSquare(): Buffer {
	const canvas = createCanvas(64, 64);
	const context = canvas.getContext('2d');
	context.fillStyle = '#ff0000';
	context.fillRect(0, 0, 64, 64);
	return canvas.toBuffer('image/png');
}

function reference(content: Buffer): KeptFile {
	return { field: 'ref_images', content };
}

async function redPixels(picture: Buffer): Promise<number> {
	const canvas = createCanvas(1024, 1024);
	const context = canvas.getContext('2d');
	context.drawImage(await loadImage(picture), 0, 0);
	const { data } = context.getImageData(0, 0, 1024, 1024);
	let count = 0;
	for (let at = 0; at < data.length; at += 4) {
		if (data[at] === 255 && data[at + 1] === 0 && data[at + 2] === 0) count++;
	}
	return count;
}

it('draws a PNG of 1024×1024 and moderate size, the same one whenever it is asked', async () => {
	const picture = await draw(jobOf({}), 1, 'png');
	expect(picture.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a');
	expect([picture.readUInt32BE(16), picture.readUInt32BE(20)]).toEqual([1024, 1024]);
	expect(picture.length).toBeLessThan(400_000);
	expect((await draw(jobOf({}), 1, 'png')).equals(picture)).toBe(true);
});

it('draws another picture for another prompt, model, job or number', async () => {
	const pictures = [
		await draw(jobOf({}), 1, 'png'),
		await draw(jobOf({ prompt: 'A ship' }), 1, 'png'),
		await draw(jobOf({ model: 'Nano Banana' }), 1, 'png'),
		await draw(jobOf({}, 'b'), 1, 'png'),
		await draw(jobOf({}, 'a', ['png', 'png']), 2, 'png'),
	];
	expect(new Set(pictures.map((picture) => picture.toString('base64'))).size).toBe(5);
});

it('shows each reference, and a tile for one that cannot be decoded', async () => {
	const none = await redPixels(await draw(jobOf({}), 1, 'png'));
	const one = await redPixels(
		await draw(jobOf({ references: [reference(redSquare())] }), 1, 'png'),
	);
	const two = await redPixels(
		await draw(
			jobOf({ references: [redSquare(), Buffer.from('II*\0'), redSquare()].map(reference) }),
			1,
			'png',
		),
	);
	expect(none).toBe(0);
	expect(one).toBeGreaterThan(20_000);
	expect(two / one).toBeCloseTo(2, 1);
});

it('draws GIFs too', async () => {
	const picture = await draw(jobOf({}, 'a', ['png', 'gif']), 2, 'gif');
	const { width, height } = await loadImage(picture);
	expect(picture.subarray(0, 6).toString()).toMatch(/^GIF8[79]a$/);
	expect([width, height]).toEqual([1024, 1024]);
});

it('copes with prompts without spaces, without end and without text', async () => {
	for (const prompt of ['x'.repeat(100_000), 'two words '.repeat(10_000), '🦊漢'.repeat(300), '']) {
		const { width } = await loadImage(await draw(jobOf({ prompt }), 1, 'png'));
		expect(width).toBe(1024);
	}
});

it('is what the emulator serves, with the references it was sent', async () => {
	const emulator = await startEmulator({ jobDurationMs: 0 });
	try {
		const form = new FormData();
		form.append('prompt', 'A lighthouse');
		form.append('ai_model', 'GPT Image 2');
		form.append('ref_images', redSquare(), { filename: 'red.png' });
		await fetch(`${emulator.apiUrl}/public/v1/generate/image`, {
			method: 'POST',
			headers: { authorization: 'Bearer test-key', ...form.getHeaders() },
			body: new Uint8Array(form.getBuffer()),
		});
		const [job] = emulator.jobs.all();
		const url = `${emulator.cdnUrl}/results/${job?.id ?? ''}/1.png`;
		const served = Buffer.from(await (await fetch(url)).arrayBuffer());
		expect(await redPixels(served)).toBeGreaterThan(20_000);
	} finally {
		await emulator.close();
	}
});
