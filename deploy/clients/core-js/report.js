/** An anonymous line about a first launch, if the app wants it. Rule 13 of CONTRACT.md. */

/** Milliseconds. */
const LIMIT = 5_000;

/**
 * Sends it, and never fails: a report is worth nothing to the app.
 *
 * @param {import('./platform.js').Platform} platform
 * @param {import('./source.js').SnapshotSource} source
 * @param {import('./source.js').Outcome} outcome
 * @returns {Promise<void>}
 */
export async function report(platform, { report, url, getToken }, outcome) {
  if (!report || outcome.outcome === 'kept') return;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), LIMIT);
  try {
    await platform.fetch(report === true ? url.replace(/[^/]*$/, 'reports') : report, {
      method: 'POST',
      headers: { authorization: `Bearer ${await getToken()}`, 'content-type': 'application/json' },
      body: JSON.stringify(content(platform, outcome)),
      signal: controller.signal
    });
  } catch {
    // Offline, or a server without reports.
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {import('./platform.js').Platform} platform
 * @param {import('./source.js').Outcome} outcome
 */
function content({ name, version }, { outcome, reason, form, encoding, bytes, resumes, seconds, core }) {
  return {
    v: 1,
    outcome: reason === 'cancelled' ? 'cancelled' : outcome,
    form: form ?? null,
    encoding: encoding ?? null,
    reason: reason ?? null,
    bytes,
    resumes,
    seconds,
    platform: name,
    package: version,
    core: core ?? null
  };
}
