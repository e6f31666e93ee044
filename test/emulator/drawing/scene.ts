import { createCanvas, loadImage } from '@napi-rs/canvas';
import type { Canvas, SKRSContext2D } from '@napi-rs/canvas';
import type { Commission } from './commission';
import { drawLandscape, SIZE } from './landscape';
import { cut, FAMILY, wrapped } from './text';

const MARGIN = 48;
const PADDING = 40;
const TEXT_WIDTH = SIZE - 2 * MARGIN - 2 * PADDING;
const MAX_LINES = 4;

/** A landscape with the prompt, the model and the reference images on it. */
export async function paintScene({ job, number, random }: Commission): Promise<Canvas> {
	const canvas = createCanvas(SIZE, SIZE);
	const context = canvas.getContext('2d');
	const { prompt, model, references } = job.subject;
	drawLandscape(context, random);
	context.font = `600 38px ${FAMILY}`;
	const lines = wrapped(context, prompt, { width: TEXT_WIDTH, maxLines: MAX_LINES });
	const panelTop = SIZE - MARGIN - (lines.length * 50 + 122);
	drawPanel(context, panelTop, lines);
	drawFooter(
		context,
		model,
		`job ${job.id.slice(0, 8)}  ·  ${number} of ${job.outcome.images.length}`,
	);
	await drawReferences(
		context,
		references.map(({ content }) => content),
		panelTop,
	);
	return canvas;
}

function drawPanel(context: SKRSContext2D, top: number, lines: readonly string[]): void {
	context.fillStyle = 'rgba(10, 12, 24, 0.62)';
	context.beginPath();
	context.roundRect(MARGIN, top, SIZE - 2 * MARGIN, SIZE - MARGIN - top, 28);
	context.fill();
	context.strokeStyle = 'rgba(255, 255, 255, 0.16)';
	context.lineWidth = 1.5;
	context.stroke();
	context.font = `600 38px ${FAMILY}`;
	context.fillStyle = '#ffffff';
	context.textBaseline = 'alphabetic';
	for (const [index, line] of lines.entries()) {
		context.fillText(line, MARGIN + PADDING, top + 66 + index * 50);
	}
}

function drawFooter(context: SKRSContext2D, model: string, note: string): void {
	const middle = SIZE - MARGIN - 46;
	context.textBaseline = 'middle';
	context.font = `600 22px ${FAMILY}`;
	const label = cut(context, model, 420);
	const width = context.measureText(label).width + 36;
	context.fillStyle = 'rgba(255, 255, 255, 0.92)';
	context.beginPath();
	context.roundRect(MARGIN + PADDING, middle - 21, width, 42, 21);
	context.fill();
	context.fillStyle = '#171a2e';
	context.fillText(label, MARGIN + PADDING + 18, middle + 1);
	context.font = `400 22px ${FAMILY}`;
	context.fillStyle = 'rgba(255, 255, 255, 0.72)';
	context.textAlign = 'right';
	context.fillText(note, SIZE - MARGIN - PADDING, middle + 1);
	context.textAlign = 'left';
}

async function drawReferences(
	context: SKRSContext2D,
	references: readonly Buffer[],
	panelTop: number,
): Promise<void> {
	if (references.length === 0) return;
	const gap = 14;
	const available = SIZE - 2 * MARGIN - gap * (references.length - 1);
	const side = Math.min(168, Math.floor(available / references.length));
	const top = panelTop - 24 - side;
	for (const [index, reference] of references.entries()) {
		const left = MARGIN + index * (side + gap);
		context.save();
		context.shadowColor = 'rgba(0, 0, 0, 0.45)';
		context.shadowBlur = 18;
		context.shadowOffsetY = 6;
		context.fillStyle = '#ffffff';
		context.beginPath();
		context.roundRect(left, top, side, side, 16);
		context.fill();
		context.restore();
		await drawThumbnail(context, reference, { left: left + 5, top: top + 5, side: side - 10 });
	}
}

async function drawThumbnail(
	context: SKRSContext2D,
	reference: Buffer,
	{ left, top, side }: { left: number; top: number; side: number },
): Promise<void> {
	context.save();
	context.beginPath();
	context.roundRect(left, top, side, side, 12);
	context.clip();
	context.fillStyle = '#dfe3ea';
	context.fillRect(left, top, side, side);
	try {
		const image = await loadImage(reference);
		const crop = Math.min(image.width, image.height);
		const x = (image.width - crop) / 2;
		const y = (image.height - crop) / 2;
		context.drawImage(image, x, y, crop, crop, left, top, side, side);
	} catch {
		// Some formats that the API takes (HEIC, TIFF) cannot be decoded here.
		context.fillStyle = '#7b8494';
		context.font = `600 ${Math.round(side / 2)}px ${FAMILY}`;
		context.textAlign = 'center';
		context.textBaseline = 'middle';
		context.fillText('?', left + side / 2, top + side / 2);
	}
	context.restore();
}
