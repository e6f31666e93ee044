import type { Canvas } from '@napi-rs/canvas';
import type { ImageFormat, Job } from '../jobs';
import { paintAnimation, paintAnimationSheet } from './animation';
import type { Commission } from './commission';
import { paintEffect, paintEffectSheet } from './effect';
import { paintInpainting } from './inpaint';
import { paintLayer } from './layers';
import { paintOverlay } from './overlay';
import { randomFrom } from './random';
import { paintReskin } from './reskin';
import { paintScene } from './scene';
import { paintUpscaled } from './upscale';

/** Draws a job's n-th result: always the same picture for the same job and number. */
export async function draw(job: Job, number: number, format: ImageFormat): Promise<Buffer> {
	const { artwork, prompt } = job.subject;
	// The format is not part of the seed: a PNG and a GIF of one job show the same result.
	const isAnotherFormat = job.outcome.images[0] === 'png' && format === 'gif';
	// Nor are the layers of one picture results of their own.
	const variant = isAnotherFormat || artwork.kind === 'layers' ? 1 : number;
	const random = randomFrom(`${job.id}/${variant}/${prompt}`);
	const commission: Commission = { job, number, random };
	if (artwork.kind === 'animation' && format === 'gif') {
		return await paintAnimation(commission, artwork);
	}
	const canvas = await paint(commission);
	return format === 'gif' ? await canvas.encode('gif', 20) : await canvas.encode('png');
}

async function paint(commission: Commission): Promise<Canvas> {
	const { artwork } = commission.job.subject;
	switch (artwork.kind) {
		case 'scene':
			return await paintScene(commission);
		case 'upscale':
			return await paintUpscaled(commission, artwork);
		case 'inpaint':
			return await paintInpainting(commission);
		case 'layers':
			return await paintLayer(commission);
		case 'animation':
			return await paintAnimationSheet(commission, artwork);
		case 'reskin':
			return await paintReskin(commission, artwork);
		case 'overlay':
			return await paintOverlay(commission, artwork);
		case 'effect':
			return paintEffect(commission, artwork);
		case 'effectSheet':
			return paintEffectSheet(commission, artwork);
	}
}
