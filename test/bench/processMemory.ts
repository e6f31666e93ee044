import { readFile, writeFile } from 'node:fs/promises';

// Linux keeps these for every process: proc_pid_status(5), proc_pid_clear_refs(5), proc_pid_stat(5),
// proc_pid_io(5).

/** Clock ticks of `/proc/<pid>/stat` a second, on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;

/** Resident memory in megabytes (10⁶ bytes): now, or the peak since the start or {@link clearPeak}. */
export async function residentMemory(pid: number, which: 'now' | 'peak' = 'now'): Promise<number> {
	const status = await readFile(`/proc/${pid}/status`, 'utf8');
	const field = which === 'now' ? /^VmRSS:\s+(\d+) kB$/m : /^VmHWM:\s+(\d+) kB$/m;
	return (Number(field.exec(status)?.[1]) * 1024) / 1e6;
}

/** Makes the present resident memory the largest so far. */
export async function clearPeak(pid: number): Promise<void> {
	await writeFile(`/proc/${pid}/clear_refs`, '5');
}

/** CPU time that a process has used, in milliseconds. */
export async function cpuMs(pid: number): Promise<number> {
	const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
	// The name in brackets may hold anything; after it come the fields from the third on.
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1000;
}

/** What a process has sent to the disk, in bytes. */
export async function writtenBytes(pid: number): Promise<number> {
	const io = await readFile(`/proc/${pid}/io`, 'utf8');
	return Number(/^write_bytes: (\d+)$/m.exec(io)?.[1]);
}
