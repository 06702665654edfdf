// What the client packages report, sent to a server; tests/it/delivery/reports.rs starts that and looks at what it has taken.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { report } from '../../../deploy/clients/core-js/report.js';

const { REPORT_URL: url, REPORT_TOKEN: token } = process.env;

const installed = {
  outcome: 'installed',
  reason: undefined,
  form: 'compact',
  encoding: 'gzip',
  bytes: 1000,
  resumes: 0,
  seconds: { waiting: 0.1, downloading: 1.25, unpacking: 0.2, finishing: 0.5 },
  core: '0.5.3'
};
const none = { form: undefined, encoding: undefined, bytes: 0, seconds: { waiting: 0.1 }, core: undefined };

test('each outcome is taken', async () => {
  const answers = [];
  const platform = {
    name: 'node',
    version: '0.2.0',
    fetch: async (...request) => {
      const answer = await fetch(...request);
      answers.push(`${answer.status} ${await answer.text()}`);
      return answer;
    }
  };
  const source = { report: true, url: `${url}/database`, storeId: '1', getToken: async () => token };
  for (const more of [{}, { ...none, outcome: 'sync', reason: 'no_snapshot' }, { ...none, outcome: 'failed', reason: 'cancelled' }]) {
    await report(platform, source, { ...installed, ...more });
  }
  assert.deepEqual(answers, ['204 ', '204 ', '204 ']);
  await report(platform, { ...source, report: false }, installed);
  await report(platform, source, { ...installed, outcome: 'kept' });
  assert.equal(answers.length, 3, 'nothing is sent that the app has not asked for');
});
