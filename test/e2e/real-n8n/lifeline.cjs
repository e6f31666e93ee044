// Loaded into n8n with --require. Descriptor 3 is a pipe whose other end only the process that
// started this n8n holds. The system closes it when that process ends, however it ends; then
// everything n8n has started goes with it.
const { Socket } = require('node:net');

if (process.env.LIFELINE_PARENT === String(process.ppid)) {
	const lifeline = new Socket({ fd: 3 });
	lifeline.on('error', () => {});
	lifeline.on('close', () => process.kill(-process.pid, 'SIGKILL'));
	lifeline.resume();
	lifeline.unref();
}
