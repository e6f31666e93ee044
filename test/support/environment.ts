import 'reflect-metadata';

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// n8n-core reads these when it is loaded, so that this file is imported before it.
const userFolder = mkdtempSync(join(tmpdir(), 'aetherforge-n8n-'));
const remove = () => {
	rmSync(userFolder, { recursive: true, force: true });
};
// Each test file loads this module anew and so has a folder of its own.
if ('afterAll' in globalThis) afterAll(remove);
else process.once('exit', remove);
process.env.N8N_USER_FOLDER = userFolder;
process.env.N8N_ENCRYPTION_KEY = 'not a secret';
process.env.N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS = 'false';
process.env.N8N_LOG_LEVEL = 'silent';
