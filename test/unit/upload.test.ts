import { Upload } from '../../nodes/shared/api/upload';

it.each([0, 1])(
	'closes a file of which %i chunks were read when the request ends',
	async (reads) => {
		let isOpen = false;
		async function* content(): AsyncGenerator<Uint8Array> {
			isOpen = true;
			try {
				for (;;) yield await Promise.resolve(new Uint8Array(65_536));
			} finally {
				isOpen = false;
			}
		}
		const open = async () => await Promise.resolve(content());
		const kind = { apiName: 'image', fileName: 'a.png', mimeType: 'image/png' };
		const file = { ...kind, from: undefined, bytes: 10_000_000, open };
		const upload = new Upload({ path: '/', values: {}, files: [file] });
		const reader = (upload.form.get('image') as File).stream().getReader();
		for (let read = 0; read < reads; read++) await reader.read();
		expect(isOpen).toBe(reads > 0);
		upload.close();
		await new Promise((resolve) => setImmediate(resolve));
		expect({ isOpen, isRead: upload.isRead }).toEqual({ isOpen: false, isRead: false });
	},
);
