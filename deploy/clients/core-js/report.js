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
export async function report(platform, { report, url, storeId, getToken }, outcome) {
  if (!report || outcome.outcome === 'kept') return;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), LIMIT);
  try {
    const address = report === true ? url.replace(/[^/]*$/, 'reports') : report;
    const separator = address.includes('?') ? '&' : '?';
    await platform.fetch(`${address}${separator}store_id=${encodeURIComponent(storeId)}`, {
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
    launch: launchId(),
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

/** A random UUID (version 4), by which the server knows a report that comes twice. It is no secret: `Math.random` will do. */
function launchId() {
  const bytes = Uint8Array.from({ length: 16 }, () => Math.floor(Math.random() * 256));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
