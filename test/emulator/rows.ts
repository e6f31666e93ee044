/** A row of a sprite sheet, as a character overlay asks for it. */
export interface SheetRow {
	/** From 1 in the documented example; any integer is taken. */
	row: number;
	title: string;
	description: string;
}

/** The rows in their order on the sheet, or the 400 text the API has for the first mistake. */
export function readRows(json: string): { rows: SheetRow[]; refusal?: string } {
	let parsed: unknown;
	try {
		parsed = JSON.parse(json);
	} catch {
		return refused('rows must be a valid JSON list');
	}
	if (!Array.isArray(parsed)) return refused('rows must be a JSON list');
	const rows: SheetRow[] = [];
	for (const item of parsed as unknown[]) {
		if (!hasRowKeys(item)) {
			return refused('each row must be an object with row, title, description');
		}
		const { row, title, description } = item;
		if (typeof row !== 'number' || !Number.isInteger(row)) {
			return refused('row must be an integer');
		}
		if (typeof title !== 'string' || typeof description !== 'string') {
			return refused('title and description must be strings');
		}
		rows.push({ row, title, description });
	}
	return { rows: rows.sort((one, other) => one.row - other.row) };
}

function refused(refusal: string): { rows: SheetRow[]; refusal: string } {
	return { rows: [], refusal };
}

function hasRowKeys(item: unknown): item is Record<keyof SheetRow, unknown> {
	return (
		typeof item === 'object' &&
		item !== null &&
		['row', 'title', 'description'].every((key) => Object.hasOwn(item, key))
	);
}
