/** The integer that FastAPI reads from a form's text. */
export function readInteger(text: string): number | undefined {
	return /^\s*[+-]?\d+(\.0+)?\s*$/.test(text) ? Number(text) : undefined;
}

/** The boolean that FastAPI reads from a form's text. */
export function readBoolean(text: string): boolean | undefined {
	if (/^(true|t|1|yes|y|on)$/i.test(text)) return true;
	return /^(false|f|0|no|n|off)$/i.test(text) ? false : undefined;
}
