import { excerpt } from '../failure';

/** How much of what a server says is repeated. */
export const LONGEST_QUOTE = 500;

export function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @returns undefined when the text is not JSON; a byte order mark in front of it is no part of it */
export function parseJson(text: string): unknown {
	try {
		return JSON.parse(text.replace(/^\ufeff/, '')) as unknown;
	} catch {
		return undefined;
	}
}

/** A page says what it is at its start; some patterns take the square of a text's length. */
const LONGEST_START = 4000;

/** The start of a body that is not what was asked for, as one line. */
export function excerptOf(body: string): string {
	const text = body.slice(0, LONGEST_START);
	const title = /<title[^>]*>([^<]*)<\/title>/i.exec(text)?.[1];
	const plain = (title ?? text.replace(/<[^>]*>/g, ' ')).replace(/\s+/g, ' ').trim();
	return plain === '' ? 'an empty response' : excerpt(plain);
}

/**
 * The API's own words: `detail` is a text, or FastAPI's list of what is wrong with which field
 * (422), which becomes "prompt: Field required; ai_model: …".
 */
export function detailOf(text: string): string {
	const body = parseJson(text);
	const detail = isRecord(body) ? body.detail : undefined;
	if (typeof detail === 'string' && detail.trim() !== '') return detail.slice(0, LONGEST_QUOTE);
	if (!Array.isArray(detail)) return excerptOf(text);
	return detail
		.map((entry: unknown) => {
			if (!isRecord(entry)) return String(entry);
			const place = Array.isArray(entry.loc)
				? entry.loc.filter((part) => part !== 'body' && part !== 'path').join('.')
				: '';
			return `${place === '' ? '' : `${place}: `}${String(entry.msg)}`;
		})
		.join('; ')
		.slice(0, LONGEST_QUOTE);
}
