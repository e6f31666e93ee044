import nock from 'nock';

// Importing nock replaces parts of node:http, which the test files that a worker runs one after the
// other share: left in place, they would break the requests of the next file.
afterAll(() => {
	nock.cleanAll();
	nock.enableNetConnect();
	nock.restore();
});

export { nock };
