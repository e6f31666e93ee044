/** A text that occurs in the nodes' sources, wherever that is, and what takes its place. */
export type Change = readonly [find: string, replace: string];

/** A defect that is put back into the nodes to see whether the days find it. */
const defect = (what: string, ...changes: Change[]) => ({ what, changes });

/** Those of this project's past, and then those that are planted. */
export const DEFECTS = [
	defect(
		'items that refer to themselves break the run after the paid request',
		["\t\ttext = 'cannot be written';", "\t\tthrow new Error('cannot be written');"],
		['\t\tif (!dryRun) await book.prepare(itemIndex);\n', ''],
	),
	defect('a dry run that an expression turns on is paid for', [
		"if (word === 'true' || word === 'false') return word === 'true';",
		"if (word !== '') return false;",
	]),
	defect('a failure while polling does not name the job in its text', [
		"'job' : 'jobs'} ${listWithData(ownJobIds)}`;",
		"'job' : 'jobs'}`;",
	]),
	defect('a paid job is given up when its prompt gives nothing in the retry', [
		'\t\t// An expression that fails this time says nothing about a job that has been charged.\n\t\treturn {};',
		'\t\tthrow apiFailures.outcomeStillUnknown();',
	]),
	defect('a job that was just started is unknown to the next try', [
		'const { jobId, submittedAtMs } = entry;',
		'const { jobId } = entry;\n\t\tconst submittedAtMs = 0;',
	]),
	defect('the memory of jobs grows with every round of a loop', [
		'else if (output.every(isResult)) book.forget();',
		'',
	]),
	defect('a round of a loop gets the job of the round before', [
		'this.#run = `${String(context.getWorkflowDataProxy(0).$runIndex)}:`;',
		"this.#run = '0:';",
	]),
	defect('paid jobs are not named when the key is gone in the retry', [
		'!(entry.hasFailed && isRecalled) ? [entry.jobId]',
		'!isRecalled ? [entry.jobId]',
	]),
	defect('the ID of an answer that is cut behind its end is lost', [
		'if (flaw && status < 300 && body === undefined) return flaw;',
		'if (flaw && status < 300) return flaw;',
	]),
	defect('a retry pays again when n8n has moved the file in the JSON', [
		"return typeof value === 'string' ? value.replace(FILE_ID, '$1') : value;",
		'return value;',
	]),
	defect('a credential that is lost in the middle is told as an unknown outcome', [
		'throw failure.with({ concernsAllItems: this.#accounts.size === 0 });',
		'throw failure.with({ concernsAllItems: this.#accounts.size === 0, outcomeUnknown: true });',
	]),
	defect('every item is sent with the credential of the first one', [
		'}>(CREDENTIAL, itemIndex);',
		'}>(CREDENTIAL, 0);',
	]),
	defect("a firewall's page on a status check ends the run", [
		'if (!isFromApi || status >= 500 || status < 400 || [408, 425, 429].includes(status)) {',
		'if (status >= 500 || status < 400 || [408, 425, 429].includes(status)) {',
	]),
	defect(
		'a prompt that is undefined is paid for',
		[
			'if (value === null || value === undefined) throw inputFailures.blankValue(label);',
			'if (value === null || value === undefined) return String(value);',
		],
		['\t\t\treturn asText(given, label);', '\t\t\treturn String(given);'],
	),
	defect('Stop cuts off a submit, so that nobody learns of the job', [
		'			getExecutionCancelSignal: { value: () => signal },\n',
		'',
	]),
	defect('a request of unknown outcome is sent again', [
		": { kind: 'failed', failure: apiFailures.outcomeUnknown(reason, undefined) };",
		": { kind: 'neverConnected', reason };",
	]),
	defect('a run with error items forgets the jobs of the others', [
		'else if (output.every(isResult)) book.forget();',
		'else book.forget();',
	]),
	defect('an unknown job is told as one that was never started', [
		"if ('reason' in answer && !isSent && !answer.connection?.wasNeverConnected) {",
		"if ('reason' in answer && !answer.connection?.wasNeverConnected) {",
	]),
	defect('variations of an item share one place in the memory', [
		'return `${this.#run}${itemIndex}:${jobNumber}`;',
		'return `${this.#run}${itemIndex}:${jobNumber && 1}`;',
	]),
	defect('an unknown outcome is not remembered', [
		'this.#book.unknown(slot, outcome.failure.facts.description);',
		'',
	]),
	defect('a failed job is never replaced', [
		"const isReplaced = settings.onFailed === 'error';",
		'const isReplaced = false;',
	]),
	defect('images of a job are mixed up', [
		'		const download = downloads[index];\n',
		'		const download = downloads[downloads.length - 1 - index];\n',
	]),
	defect('error items come before the others', [
		'ofItem.flatMap((items) => (items ?? []).map((each) => ({ ...each, pairedItem: { item } }))),',
		'ofItem.flatMap((items) => (items ?? []).map((each) => ({ ...each, pairedItem: { item: 0 } }))),',
	]),
	defect('an edited prompt gets the image of the one before', [
		'const isSameWork = entry.guard === this.#guardOf(itemIndex);',
		"const isSameWork = entry.guard !== '';",
	]),
	defect('the key is repeated in what a server says', [
		"return text.replaceAll(apiKey, '***');",
		'return text.replaceAll(`${apiKey}x`, "***");',
	]),
	defect('a request is sent before the database has it', [
		'const known = this.#isFailing ? undefined : await written;',
		'const known = await Promise.race([written, Promise.resolve(undefined)]);',
	]),
	defect('the database is told nothing of the job that was started', [
		'\t\tthis.#journal?.started(slot, jobId);\n',
		'',
	]),
	defect('what was refused stays in the database as sent', [
		'\t\tthis.#journal?.withdraw(slot);\n',
		'',
	]),
	defect('what the trigger put out does not tell executions apart', [
		'const origin = (first.origin ??= hashOf(triggerOutputs(context)));',
		"const origin = '';",
	]),
	defect('after a crash with the trigger last a round is another one', [
		'const run = runIndex - first.runIndex;',
		'const run = runIndex;',
	]),
	defect('of two executions that began alike one gets the file of the other', [
		'if (isOther && hasFiles) await',
		'if (!isOther && hasFiles) await',
	]),
	defect('what the context knows better is asked of the database', [
		"const isOpen = saved === 'unknown' || (saved !== 'alive' && !this.#attempt.hasEnded);",
		"const isOpen = saved !== 'alive';",
	]),
	defect('a retry beside another one starts what that one has started', [
		'if (isRerun || (isTaken && this.#isRetry)) {',
		'if (isRerun) {',
	]),
	defect('a write that is to come after another one gets in front', [
		'\t\t// What is recorded from here on must not get in front.\n\t\tthis.#next = undefined;\n',
		'',
	]),
	defect('the pause that the service asks for is not kept', [
		'const askedMs = Math.max(growing, outcome.retryAfterMs ?? 0);',
		'const askedMs = growing;',
	]),
];
