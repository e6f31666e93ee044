/** A color between two `#rrggbb` ones. */
export function mixed(from: string, to: string, share: number): string {
	const start = channels(from);
	const end = channels(to);
	const mix = start.map((value, index) =>
		Math.round(value + ((end[index] ?? value) - value) * share),
	);
	return `#${Buffer.from(mix).toString('hex')}`;
}

/** A `#rrggbb` color as a CSS one that lets through what is behind it. */
export function withAlpha(color: string, alpha: number): string {
	return `rgba(${channels(color).join(', ')}, ${alpha})`;
}

function channels(color: string): number[] {
	return [...Buffer.from(color.slice(1), 'hex')];
}
