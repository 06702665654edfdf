/** `GET /database`: which snapshot there is, and whether this app can use it. Rules 4 and 5 of CONTRACT.md. */

import { unlessAborted } from '../clock.js';
import { SeedbedError, asSeedbedError } from '../reasons.js';
import { service } from '../database/inspect.js';
import { isPacked } from '../platform.js';
import { Body } from './body.js';

/**
 * What the answer says, as far as it is used.
 *
 * @typedef {object} Snapshot
 * @property {string} databaseUrl Signed: anyone who has it can download the snapshot until it expires.
 * @property {Rendition} rendition
 * @property {string} [key] Of a sealed file: 32 bytes in hex. It is written nowhere.
 * @property {Body} [content] The bytes of the rendition, if they come with the answer.
 * @property {import('../platform.js').Encoding} [packed] How the bytes come, where `fetch` unpacks them: they arrive as those of the
 *   rendition without an encoding, and no range can be asked for.
 */

/**
 * What identifies the bytes of a rendition, and what is needed to make a database of them. It is kept in the note.
 *
 * @typedef {object} Rendition
 * @property {'file' | 'compact'} form
 * @property {import('../platform.js').Encoding} encoding
 * @property {number} bytes
 * @property {string} sha256 Hexadecimal, over the bytes as they are stored.
 * @property {number} [unpackedBytes]
 * @property {string} [unpackedSha256]
 * @property {number} [finish] The version of finishing.
 */

/**
 * @typedef {object} Wanted
 * @property {string} url
 * @property {string} storeId
 * @property {() => Promise<string>} getToken
 * @property {'file' | 'compact'} form
 * @property {import('../platform.js').Encoding[]} encodings
 * @property {boolean} [inline] Whether a small snapshot may come with the answer: not where an answer comes as a whole or not at all.
 * @property {boolean} [sealed] Whether nothing but a sealed file will do.
 * @property {string} [endpoint]
 * @property {string | number} [generation]
 * @property {number} [maxAge] Seconds.
 * @property {string} core The version of the SDK's core extension. Empty if it is not known yet.
 * @property {number} finish The newest version of finishing that this package has.
 */

/** A snapshot of up to so many bytes is taken with the answer: a connection to the object storage takes longer than the bytes of a small one. */
const INLINE = 4 * 1024 * 1024;

/** The media type of such an answer. */
const WITH_CONTENT = 'application/vnd.seedbed.database';

/**
 * What has come of a question.
 *
 * @typedef {object} Answered
 * @property {Response} answer
 * @property {any} body
 * @property {Body} [content]
 */

/**
 * A first question that was asked before the core extension was there to say its version.
 *
 * @typedef {object} Early
 * @property {Wanted['form']} form
 * @property {Promise<Answered | undefined>} answered Undefined if there was no answer.
 */

/**
 * Asks the first question.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 * @returns {Early}
 */
export function askEarly(fetch, wanted, signal) {
  const question = withContent(wanted, questions(wanted)[0]);
  const answered = request(fetch, wanted, question, signal).catch(() => undefined);
  return { form: wanted.form, answered };
}

/**
 * Asks once.
 *
 * @param {typeof globalThis.fetch} fetch
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 * @param {Early} [early] Taken for the answer to the first question, if it is the same.
 * @returns {Promise<Snapshot>}
 * @throws {SeedbedError} With `retryAfter` for 202, 429 and 503.
 */
export async function ask(fetch, wanted, signal, early) {
  /** @type {Answered | undefined} */
  let last;
  let known = early?.form === wanted.form ? await unlessAborted(early.answered, signal) : undefined;
  for (const question of questions(wanted)) {
    last = known ?? (await request(fetch, wanted, withContent(wanted, question), signal));
    known = undefined;
    if (wanted.inline && last.answer.status === 400) {
      // An older server, which does not know the parameter.
      wanted = { ...wanted, inline: false };
      last = await request(fetch, wanted, question, signal);
    }
    if (last.answer.status === 200) {
      try {
        return checked(last, wanted);
      } catch (error) {
        last.content?.cancel();
        throw error;
      }
    }
    if (!isOlder(last.answer, last.body)) break;
  }
  if (!last) throw new Error('there is always a question');
  const { answer, body } = last;
  if (wanted.sealed && isOlder(answer, body)) {
    throw new SeedbedError('encrypted', `Seedbed has no file that is sealed with ${wanted.encodings}: see snapshots.renditions`);
  }
  throw refusal(answer, body);
}

/**
 * 400: it does not know a parameter. 404: it has no such form or encoding; with another error, no snapshot at all.
 *
 * @param {Response} answer
 * @param {any} body
 */
function isOlder({ status }, body) {
  return status === 400 || (status === 404 && String(body.error).startsWith('no_such_'));
}

/**
 * What arrives where `fetch` unpacks by itself what an answer calls gzip. Only compressed files of the form `file` are called so,
 * for older clients (`protocol/src/manifest/form.rs`).
 *
 * @param {Snapshot} snapshot
 * @returns {Snapshot}
 */
export function decoded(snapshot) {
  const { form, encoding, unpackedBytes: bytes, unpackedSha256: sha256 } = snapshot.rendition;
  // What comes with the answer has no Content-Encoding.
  if (snapshot.content) return snapshot;
  if (form !== 'file' || !isPacked(encoding) || bytes === undefined || sha256 === undefined) return snapshot;
  return { ...snapshot, packed: encoding, rendition: { ...snapshot.rendition, encoding: 'identity', bytes, sha256 } };
}

/**
 * What to ask for, one after the other.
 *
 * @param {Wanted} wanted
 * @returns {Record<string, string>[]}
 */
function questions({ form, encodings, core, sealed }) {
  const encoding = encodings.join(',');
  /** @type {Record<string, string>} */
  const own = core ? { encoding, core } : { encoding };
  /** @type {Record<string, string>[]} */
  const all = [{ form, ...own }];
  if (form !== 'file') all.push({ form: 'file', ...own });
  // A plain file is none for a database with a key.
  return sealed ? all : [...all, { encoding: 'identity' }];
}

/**
 * @param {Wanted} wanted
 * @param {Record<string, string>} question
 * @returns {Record<string, string>}
 */
function withContent({ inline }, question) {
  return inline ? { ...question, inline: String(INLINE) } : question;
}

/**
 * @param {typeof globalThis.fetch} fetch
 * @param {Wanted} wanted
 * @param {Record<string, string>} question
 * @param {AbortSignal} signal
 * @returns {Promise<Answered>}
 */
async function request(fetch, { url, storeId, getToken }, question, signal) {
  let token;
  try {
    token = await getToken();
  } catch (error) {
    throw asSeedbedError(error, 'no_token', 'the app has no token');
  }
  const query = Object.entries({ store_id: storeId, ...question }).map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  try {
    const answer = await fetch(`${url}${url.includes('?') ? '&' : '?'}${query.join('&')}`, {
      headers: { authorization: `Bearer ${token}` },
      signal
    });
    if (answer.headers.get('content-type') === WITH_CONTENT) return { answer, ...(await opened(answer)) };
    /** @type {any} */
    const body = await answer.json().catch(() => ({}));
    return { answer, body: body ?? {} };
  } catch (error) {
    throw asSeedbedError(error, 'offline', 'Seedbed does not answer');
  }
}

/**
 * Reads the line of JSON, and begins to read what follows.
 *
 * @param {Response} answer
 * @returns {Promise<{ body: any, content: Body }>}
 */
async function opened(answer) {
  if (!answer.body) throw new Error('the answer has no stream');
  const reader = answer.body.getReader();
  let read = new Uint8Array();
  let end = -1;
  while (end < 0) {
    const { done, value } = await reader.read();
    if (done) throw new Error('the answer broke off');
    read = new Uint8Array([...read, ...value]);
    end = read.indexOf(0x0a);
  }
  /** @type {Uint8Array<ArrayBuffer> | undefined} */
  let first = read.slice(end + 1);
  const rest = {
    async read() {
      const value = first;
      first = undefined;
      return value ? { done: false, value } : reader.read();
    },
    cancel: () => reader.cancel()
  };
  return { body: JSON.parse(textOf(read.subarray(0, end))), content: new Body({ body: { getReader: () => rest } }) };
}

/**
 * UTF-8 as text: not every engine has a `TextDecoder`.
 *
 * @param {Uint8Array} bytes
 */
function textOf(bytes) {
  let text = '';
  for (const byte of bytes) text += `%${byte.toString(16).padStart(2, '0')}`;
  return decodeURIComponent(text);
}

/**
 * @param {Response} answer
 * @param {any} body
 */
function refusal(answer, body) {
  const { status } = answer;
  const seconds = Number(answer.headers.get('retry-after') ?? NaN);
  const retryAfter = [202, 429, 503].includes(status) && seconds >= 0 ? Math.max(1, seconds) * 1000 : undefined;
  const message = `no snapshot of the store: ${status} ${body.error ?? ''} ${body.message ?? ''}`.trimEnd();
  return new SeedbedError(reasonOf(status, body.error), message, { retryAfter });
}

/**
 * @param {number} status
 * @param {unknown} error
 * @returns {import('../reasons.js').Reason}
 */
export function reasonOf(status, error) {
  switch (status) {
    case 202:
      return 'being_seeded';
    case 429:
    case 503:
      return 'busy';
    case 401:
      return 'unauthorized';
    case 403:
      return error === 'downloads_disabled' ? 'downloads_disabled' : 'wrong_store';
    case 404:
      return error === 'snapshot_too_old' ? 'too_old' : 'no_snapshot';
    case 400:
      return 'bad_answer';
    default:
      return 'server_error';
  }
}

/**
 * @param {Answered} answered
 * @param {Wanted} wanted
 * @returns {Snapshot}
 */
function checked({ body, content }, wanted) {
  const { databaseUrl, bytes, sha256, form = 'file', encoding = 'identity' } = body;
  // Without these a damaged file would not be noticed.
  if (!Number.isSafeInteger(bytes) || !/^[0-9a-f]{64}$/i.test(sha256) || !/^https?:\/\//i.test(databaseUrl)) {
    throw new SeedbedError('bad_answer', 'the answer names no snapshot: is the URL that of GET /database?');
  }
  const encodings = wanted.sealed ? wanted.encodings : ['identity', ...wanted.encodings];
  if (!['file', wanted.form].includes(form) || !encodings.includes(encoding)) {
    throw new SeedbedError('bad_answer', `the answer has ${form}/${encoding}, which was not asked for`);
  }
  /** @type {Rendition} */
  const rendition = {
    form,
    encoding,
    bytes,
    sha256: sha256.toLowerCase(),
    unpackedBytes: body.unpackedBytes ?? undefined,
    unpackedSha256: body.unpackedSha256?.toLowerCase(),
    finish: form === 'compact' ? (body.finish ?? undefined) : undefined
  };
  identity(body, rendition, wanted);
  if (!wanted.sealed) return { databaseUrl, rendition, content };
  if (!/^[0-9a-f]{64}$/i.test(body.key)) throw new SeedbedError('bad_answer', 'the answer has no key for the sealed file');
  return { databaseUrl, rendition, content, key: body.key };
}

/**
 * Refuses what is not for this app, before anything is downloaded.
 *
 * @param {any} body
 * @param {Rendition} rendition
 * @param {Wanted} wanted
 */
function identity(body, { form, finish }, wanted) {
  const refuse = (/** @type {import('../reasons.js').Reason} */ reason, /** @type {string} */ message) => {
    throw new SeedbedError(reason, message);
  };
  if (body.storeId != null && body.storeId !== wanted.storeId) refuse('wrong_store', 'the snapshot is of another store');
  const [its, own] = [service(body.serviceEndpoint), service(wanted.endpoint)];
  if (its && own && its !== own) refuse('wrong_service', `the snapshot is of ${its}, and the app connects to ${own}`);
  if (wanted.generation != null && body.generation != null && String(wanted.generation) !== String(body.generation)) {
    refuse('wrong_generation', `the snapshot is of generation ${body.generation}, not ${wanted.generation}`);
  }
  const limit = Math.min(wanted.maxAge ?? Infinity, body.maxAge ?? Infinity);
  const age = (Date.now() - Date.parse(body.verifiedAt ?? body.createdAt)) / 1000;
  if (age > limit) refuse('too_old', `the snapshot was verified ${Math.round(age)} s ago, and may be ${limit} s old`);
  if (body.coreVersion && isNewer(body.coreVersion, wanted.core)) {
    refuse('newer_core', `the snapshot is of core ${body.coreVersion}, and the SDK has ${wanted.core}`);
  }
  if (form === 'compact' && !(Number(finish) >= 1 && Number(finish) <= wanted.finish)) {
    refuse('unknown_finish', `the snapshot needs version ${finish} of finishing, and this package has ${wanted.finish}`);
  }
}

/**
 * Whether a version `1.2.3` is newer than another.
 *
 * @param {string} version
 * @param {string} than
 */
export function isNewer(version, than) {
  const numbers = (/** @type {string} */ text) => text.split(/[^0-9]+/, 3).map(Number);
  const [a, b] = [numbers(version), numbers(than)];
  const index = a.findIndex((number, index) => number !== b[index]);
  return index >= 0 && a[index] > b[index];
}
