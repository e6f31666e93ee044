import type { IBinaryKeyData, IDataObject } from 'n8n-workflow';

/** An output item before it is paired with its input item. */
export interface OutputItem {
	json: IDataObject;
	binary?: IBinaryKeyData;
}

/** Whether an item is anything but an error item. */
export function isResult({ json }: OutputItem): boolean {
	return !('error' in json);
}
