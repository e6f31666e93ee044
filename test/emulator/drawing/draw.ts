import { createHash } from 'node:crypto';
import type { Canvas } from '@napi-rs/canvas';
import type { Artwork } from '../artwork';
import type { ImageFormat, Job } from '../jobs';
import {
	animationOf,
	blank,
	drawCaption,
	drawDisc,
	drawText,
	pictureIn,
	pixelated,
	scaled,
	sheetOf,
	withoutBackground,
	wrapped,
} from './canvas';

// Results show what people have to recognize of their job: prompt, inputs, size, grid, layers, motion.

const SCENE_SIDE = 1024;
/** Width and height of a frame of an animation. */
const CELL = 160;
const OVERLAY_COLUMNS = 8;
/** More would be too small to see. */
const MAX_OVERLAY_ROWS = 16;
const FRAMES_PER_HOP = 16;
const INK = '#2a2135';

/** Draws a job's n-th result: always the same picture for the same job and number. */
export async function draw(job: Job, number: number, format: ImageFormat): Promise<Buffer> {
	const { artwork } = job.subject;
	if (artwork.kind === 'animation' && format === 'gif') {
		return animationOf(await animationFrames(job, artwork));
	}
	const canvas = await paint(job, number);
	return format === 'gif' ? await canvas.encode('gif', 20) : await canvas.encode('png');
}

async function paint(job: Job, number: number): Promise<Canvas> {
	const { artwork, prompt } = job.subject;
	switch (artwork.kind) {
		case 'scene':
			return await paintScene(job, number);
		case 'upscale': {
			const canvas = scaled(await inputOf(job), artwork.pixels);
			drawCaption(canvas.getContext('2d'), [`Upscaled to ${canvas.width} × ${canvas.height}`]);
			return canvas;
		}
		case 'inpaint': {
			const canvas = await inputOf(job);
			const context = canvas.getContext('2d');
			const { width, height } = canvas;
			const radius = Math.min(width, height) / 5;
			drawDisc(context, `hsl(${hueOf(job)} 80% 60%)`, { x: width / 2, y: height / 2, radius });
			drawCaption(context, [prompt || 'Inpainted']);
			return canvas;
		}
		case 'layers':
			return layerOf(await inputOf(job), number, job.outcome.images.length);
		case 'animation': {
			const frames = await animationFrames(job, artwork);
			return sheetOf(frames, Math.ceil(Math.sqrt(frames.length)));
		}
		case 'reskin': {
			const turn = 70 + (hueOf(job) % 220);
			const sheet = scaled(await inputOf(job), artwork.pixels, `hue-rotate(${turn}deg)`);
			return artwork.style === 'pixel' ? pixelated(sheet, artwork.pixels / 256) : sheet;
		}
		case 'overlay':
			return await paintOverlay(job, artwork);
		case 'effect': {
			const { canvas, context } = blank(artwork.pixels, artwork.pixels);
			context.fillStyle = INK;
			context.fillRect(0, 0, canvas.width, canvas.height);
			context.drawImage(burst(hueOf(job), 0.5, canvas.width), 0, 0);
			drawCaption(context, [prompt]);
			return canvas;
		}
		case 'effectSheet':
			return paintEffectSheet(job, artwork.frames);
	}
}

/** From 0 to 359, a color of the job's own. */
function hueOf({ id, subject }: Job): number {
	return createHash('sha256').update(`${id}/${subject.prompt}`).digest().readUInt16BE() % 360;
}

/** A sky with a sun over hills. */
function landscape(job: Job): Canvas {
	const { canvas, context } = blank(SCENE_SIDE, SCENE_SIDE);
	const hue = hueOf(job);
	const sky = context.createLinearGradient(0, 0, 0, SCENE_SIDE);
	sky.addColorStop(0, `hsl(${hue} 55% 35%)`);
	sky.addColorStop(1, `hsl(${hue + 50} 80% 80%)`);
	context.fillStyle = sky;
	context.fillRect(0, 0, SCENE_SIDE, SCENE_SIDE);
	drawDisc(context, `hsl(${hue + 60} 90% 88%)`, { x: 200 + hue * 1.7, y: 240, radius: 90 });
	for (const hill of [0, 1, 2]) {
		const place = { x: ((hue * (hill + 3)) % SCENE_SIDE) + hill * 90, y: 1300 + hill * 130 };
		drawDisc(context, `hsl(${hue + 20} 45% ${40 - hill * 11}%)`, { ...place, radius: 800 });
	}
	return canvas;
}

/** A landscape with the prompt, the model and the reference images on it. */
async function paintScene(job: Job, number: number): Promise<Canvas> {
	const { prompt, model, references } = job.subject;
	const canvas = landscape(job);
	const context = canvas.getContext('2d');
	const note = `${model} · job ${job.id.slice(0, 8)} · ${number} of ${job.outcome.images.length}`;
	const lines = [...wrapped(prompt), note];
	drawCaption(context, lines, 94 - lines.length * 6);
	const side = Math.min(168, Math.floor(960 / Math.max(1, references.length)) - 12);
	for (const [index, { content }] of references.entries()) {
		const left = 32 + index * (side + 12);
		const thumbnail = await pictureIn(content);
		context.fillStyle = '#dfe3ea';
		context.fillRect(left, 32, side, side);
		if (thumbnail) context.drawImage(thumbnail, left, 32, side, side);
		else
			drawText(context, '?', { x: left + side / 3, y: 32 + side / 4, size: side / 2, color: INK });
	}
	return canvas;
}

/** The files that the job was sent in a field; those that cannot be decoded are left out. */
async function inputsOf({ subject }: Job, field: string): Promise<Canvas[]> {
	const files = subject.references.filter((reference) => reference.field === field);
	const pictures = await Promise.all(files.map(({ content }) => pictureIn(content)));
	return pictures.filter((picture) => picture !== undefined);
}

/** The picture in the `image` field; a landscape in place of one that was not kept or decoded. */
async function inputOf(job: Job): Promise<Canvas> {
	return (await inputsOf(job, 'image')).at(-1) ?? landscape(job);
}

/** One of so many bands of the picture, on transparency. Stacked, the layers show it again. */
function layerOf(picture: Canvas, number: number, count: number): Canvas {
	const { canvas, context } = blank(picture.width, picture.height);
	const top = Math.round((picture.height * (number - 1)) / count);
	const height = Math.round((picture.height * number) / count) - top;
	const { width } = picture;
	context.drawImage(picture, 0, top, width, height, 0, top, width, height);
	return canvas;
}

/** The characters in a field's pictures, or else a face. */
async function charactersIn(job: Job, ...fields: string[]): Promise<[Canvas, ...Canvas[]]> {
	const pictures = await Promise.all(fields.map((field) => inputsOf(job, field)));
	const [first, ...others] = pictures.flat().map((picture) => withoutBackground(picture));
	if (first) return [first, ...others];
	const { canvas, context } = blank(100, 100);
	drawDisc(context, `hsl(${hueOf(job)} 70% 60%)`, { x: 50, y: 50, radius: 48 });
	for (const x of [35, 65]) drawDisc(context, INK, { x, y: 40, radius: 8 });
	return [canvas];
}

/** A frame of a character that hops, with a word above it. */
function frameOf(
	character: Canvas,
	{ phase, side, label }: { phase: number; side: number; label: string },
): Canvas {
	const { canvas, context } = blank(side, side);
	const figure = scaled(character, side * 0.8);
	const lift = Math.abs(Math.sin(Math.PI * phase)) * side * 0.12;
	context.drawImage(figure, (side - figure.width) / 2, side * 0.98 - figure.height - lift);
	drawText(context, label, { x: side * 0.05, y: side * 0.03, size: side * 0.1, color: INK });
	return canvas;
}

/** All frames, numbered. */
async function animationFrames(
	job: Job,
	{ frames, isPixel }: Extract<Artwork, { kind: 'animation' }>,
): Promise<Canvas[]> {
	const [start] = await charactersIn(job, 'image', 'start_frame_image');
	const [end] = await inputsOf(job, 'end_frame_image');
	// A whole number of hops, so that the last frame leads to the first.
	const hops = Math.max(1, Math.round(frames / FRAMES_PER_HOP));
	return Array.from({ length: frames }, (_, index) => {
		const pose = { phase: (index * hops) / frames, side: CELL, label: String(index + 1) };
		const frame = frameOf(start, pose);
		if (!end) return isPixel ? pixelated(frame, 4) : frame;
		// From the start frame to the end frame.
		const { canvas, context } = blank(CELL, CELL);
		const share = index / (frames - 1);
		context.globalAlpha = 1 - share;
		context.drawImage(frame, 0, 0);
		context.globalAlpha = share;
		context.drawImage(frameOf(withoutBackground(end), pose), 0, 0);
		return isPixel ? pixelated(canvas, 4) : canvas;
	});
}

/** A sheet as wide as was asked for, with a row of frames for each title. */
async function paintOverlay(
	job: Job,
	{ pixels, titles, style }: Extract<Artwork, { kind: 'overlay' }>,
): Promise<Canvas> {
	const rows = titles.slice(0, MAX_OVERLAY_ROWS);
	const side = Math.floor(pixels / Math.max(OVERLAY_COLUMNS, rows.length));
	const characters = await charactersIn(job, 'character_images');
	const frames = rows.flatMap((title, row) =>
		Array.from({ length: OVERLAY_COLUMNS }, (_, column) =>
			frameOf(characters[row % characters.length] ?? characters[0], {
				phase: column / OVERLAY_COLUMNS,
				side,
				label: title,
			}),
		),
	);
	const sheet = sheetOf(frames, OVERLAY_COLUMNS);
	return style === 'pixel' ? pixelated(sheet, 4) : sheet;
}

/** A burst from its first spark to its last smoke, on white. */
function paintEffectSheet(job: Job, count: number): Canvas {
	const columns = Math.ceil(Math.sqrt(count));
	const side = Math.floor(SCENE_SIDE / columns);
	const moments = Array.from({ length: count }, (_, index) => (index + 1) / (count + 1));
	const sheet = sheetOf(
		moments.map((time) => burst(hueOf(job), time, side)),
		columns,
	);
	const { canvas, context } = blank(sheet.width, sheet.height);
	context.fillStyle = 'white';
	context.fillRect(0, 0, canvas.width, canvas.height);
	context.drawImage(sheet, 0, 0);
	return canvas;
}

/** @param time from 0, before the first spark, to 1, when nothing is left */
function burst(hue: number, time: number, side: number): Canvas {
	const { canvas, context } = blank(side, side);
	for (let spark = 0; spark < 24; spark++) {
		const angle = (spark / 24) * 2 * Math.PI;
		const reach = side * 0.38 * time * (spark % 2 === 0 ? 1 : 0.6);
		const x = side / 2 + Math.cos(angle) * reach;
		const y = side / 2 + Math.sin(angle) * reach;
		const radius = side * (0.06 + 0.05 * Math.sin(Math.PI * time));
		drawDisc(context, `hsl(${hue + spark} 95% ${45 + (spark % 3) * 12}%)`, { x, y, radius });
	}
	return canvas;
}
