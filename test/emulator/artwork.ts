/** The styles that the sprite endpoints know, spelled as the API spells them. */
export const SPRITE_STYLES = ['pixel', 'cartoon', 'sd', 'quater_view'] as const;

export type SpriteStyle = (typeof SPRITE_STYLES)[number];

/** What an endpoint makes of its inputs, and so how a job's results are drawn. */
export type Artwork =
	/** A picture of the prompt, 1024×1024. */
	| { kind: 'scene' }
	/** The input, with its longer side so many pixels long. */
	| { kind: 'upscale'; pixels: number }
	/** The input with something added to it. */
	| { kind: 'inpaint' }
	/** The input in as many layers as there are results; stacked, they show it again. */
	| { kind: 'layers' }
	/** A character in motion: as a PNG the sheet of all frames, as a GIF the animation. */
	| { kind: 'animation'; frames: number; isPixel: boolean }
	/** The input sheet in other colors. */
	| { kind: 'reskin'; pixels: number; style: SpriteStyle | undefined }
	/** A sheet with one row of frames per title. */
	| { kind: 'overlay'; pixels: number; titles: readonly string[]; style: SpriteStyle | undefined }
	/** One moment of a visual effect. */
	| { kind: 'effect'; pixels: number }
	/** A visual effect from start to end, one frame a cell, on white. */
	| { kind: 'effectSheet'; frames: number };
