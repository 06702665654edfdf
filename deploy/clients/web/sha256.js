/**
 * SHA-256 of bytes that come in pieces: `SubtleCrypto` digests only what is in memory as a whole, and a snapshot need not fit.
 * FIPS 180-4.
 */

const K = new Uint32Array(64);
const INITIAL = new Uint32Array(8);

/** The first 32 bits of the fractional part. */
const fraction = (/** @type {number} */ root) => ((root - Math.floor(root)) * 2 ** 32) >>> 0;

/** The roots of the first primes. */
for (let candidate = 2, found = 0; found < 64; candidate++) {
  let prime = true;
  for (let divisor = 2; divisor * divisor <= candidate; divisor++) prime &&= candidate % divisor !== 0;
  if (!prime) continue;
  if (found < 8) INITIAL[found] = fraction(Math.sqrt(candidate));
  K[found++] = fraction(Math.cbrt(candidate));
}

const BLOCK = 64;

export class Sha256 {
  constructor() {
    this.state = INITIAL.slice();
    this.words = new Uint32Array(64);
    this.rest = new Uint8Array(BLOCK);
    this.restSize = 0;
    this.size = 0;
  }

  /** @param {Uint8Array} bytes */
  update(bytes) {
    this.size += bytes.length;
    let at = 0;
    if (this.restSize > 0) {
      at = Math.min(BLOCK - this.restSize, bytes.length);
      this.rest.set(bytes.subarray(0, at), this.restSize);
      this.restSize += at;
      if (this.restSize < BLOCK) return;
      this.block(this.rest, 0);
      this.restSize = 0;
    }
    for (; at + BLOCK <= bytes.length; at += BLOCK) this.block(bytes, at);
    this.rest.set(bytes.subarray(at));
    this.restSize = bytes.length - at;
  }

  /** @returns {string} Hexadecimal. Nothing can be added afterwards. */
  hex() {
    const bits = this.size * 8;
    const length = new Uint8Array((this.restSize < BLOCK - 8 ? BLOCK : 2 * BLOCK) - this.restSize);
    length[0] = 0x80;
    const view = new DataView(length.buffer);
    view.setUint32(length.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(length.length - 4, bits >>> 0);
    this.update(length);
    return Array.from(this.state, (word) => word.toString(16).padStart(8, '0')).join('');
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} at
   */
  block(bytes, at) {
    const { state, words } = this;
    for (let i = 0; i < 16; i++, at += 4) {
      words[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let i = 16; i < 64; i++) {
      const [x, y] = [words[i - 15], words[i - 2]];
      const s0 = rotated(x, 7) ^ rotated(x, 18) ^ (x >>> 3);
      const s1 = rotated(y, 17) ^ rotated(y, 19) ^ (y >>> 10);
      words[i] = words[i - 16] + s0 + words[i - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
      const one = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + words[i]) | 0;
      const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] += word));
  }
}

/**
 * @param {number} word
 * @param {number} by
 */
function rotated(word, by) {
  return (word >>> by) | (word << (32 - by));
}
