import { Upload } from '../../nodes/shared/api/upload';

it.each([0, 1])(
	'closes a file of which %i chunks were read when the request ends',
	async (reads) => {
		let isOpen = false;
		async function* bytes(): AsyncGenerator<Uint8Array> {
			isOpen = true;
			try {
				for (;;) yield await Promise.resolve(new Uint8Array(65_536));
			} finally {
				isOpen = false;
			}
		}
		const upload = new Upload({
			path: '/',
			values: {},
			files: [
				{
					apiName: 'image',
					from: undefined,
					fileName: 'a.png',
					mimeType: 'image/png',
					bytes: 10_000_000,
					open: async () => await Promise.resolve(bytes()),
				},
			],
		});
		const [file] = upload.form.getAll('image');
		const reader = (file as File).stream().getReader();
		for (let read = 0; read < reads; read++) await reader.read();
		expect(isOpen).toBe(reads > 0);
		upload.close();
		await new Promise((resolve) => setImmediate(resolve));
		expect(isOpen).toBe(false);
		expect(upload.isRead).toBe(false);
	},
);
