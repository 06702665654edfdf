/** What the part and the staged file are of, so that a later launch can go on with them. */

import { isSameStore } from '../database/inspect.js';

/**
 * @typedef {object} Content
 * @property {number} v
 * @property {import('./ask.js').Rendition} rendition
 * @property {import('../database/inspect.js').Record} record
 * @property {boolean} staged
 * @property {string} [etag]
 */

/** `app.db.seedbed.json`. A killed process leaves the one before or the one after a change. */
export class Note {
  /**
   * @param {import('../platform.js').Files} files
   * @param {import('../platform.js').Paths} paths
   * @returns {Promise<Note>}
   */
  static async read(files, paths) {
    const note = new Note(files, paths);
    try {
      const content = JSON.parse(await files.read(paths.note));
      if (content.v === 1 && content.rendition && content.record) note.content = content;
    } catch {
      // None, or none that can be read: the launch starts anew.
    }
    // Killed before the part became the staged file.
    if (note.content && (await files.size(paths.staged)) === undefined) note.content.staged = false;
    return note;
  }

  /**
   * @param {import('../platform.js').Files} files
   * @param {import('../platform.js').Paths} paths
   */
  constructor(files, paths) {
    this.files = files;
    this.path = paths.note;
    /** @type {Content | undefined} */
    this.content = undefined;
  }

  get staged() {
    return this.content?.staged ?? false;
  }

  get etag() {
    return this.content?.etag;
  }

  /**
   * Whether the bytes that are there are those of the rendition, for the same store.
   *
   * @param {import('./ask.js').Rendition} rendition
   * @param {import('../database/inspect.js').Record} record
   */
  isOf(rendition, record) {
    const own = this.content;
    return (
      own !== undefined &&
      own.rendition.sha256 === rendition.sha256 &&
      own.rendition.bytes === rendition.bytes &&
      own.rendition.form === rendition.form &&
      isSameStore(own.record, record)
    );
  }

  /**
   * Begins anew.
   *
   * @param {import('./ask.js').Rendition} rendition
   * @param {import('../database/inspect.js').Record} record
   */
  async start(rendition, record) {
    await this.write({ v: 1, rendition, record, staged: false });
  }

  /** @param {string} etag */
  async setEtag(etag) {
    if (this.content) await this.write({ ...this.content, etag });
  }

  async setStaged() {
    if (this.content) await this.write({ ...this.content, staged: true });
  }

  /** The files it was about are gone. */
  forget() {
    this.content = undefined;
  }

  async remove() {
    this.forget();
    await this.files.remove(this.path);
  }

  /** @param {Content} content */
  async write(content) {
    this.content = content;
    await this.files.write(this.path, JSON.stringify(content));
  }
}
