/** Gzip on React Native, which has none of its own: the app gives its library's, and none is loaded without. */

/** What is used of `Gunzip` of fflate 0.8, and all that an app has to give. */
export interface Gunzip {
  new (onData: (bytes: Uint8Array, last: boolean) => void): { push(bytes: Uint8Array, last: boolean): void };
}

export interface Unpacked {
  gunzip: Gunzip | undefined;
  /** Bytes that there are to read. */
  size: number;
  /** Bytes that may be written. */
  limit: number;
  onBytes: (bytes: number) => void;
  signal: AbortSignal;
  read: (length: number, position: number) => Promise<Uint8Array>;
  write: (bytes: Uint8Array) => Promise<void>;
}

/** Bytes that are unpacked between two turns of the event loop: tens of milliseconds on a slow phone. */
const PIECE = 64 * 1024;

/** Unpacks all of it. */
export async function unpackWith({ gunzip, size, limit, onBytes, signal, read, write }: Unpacked): Promise<void> {
  if (!gunzip) throw new Error('nothing unpacks gzip here');
  let waiting: Uint8Array[] = [];
  let ended = false;
  const stream = new gunzip((bytes, last) => {
    waiting.push(bytes);
    ended = last;
  });
  let there = 0;
  for (let position = 0; position < size; ) {
    if (signal.aborted) throw signal.reason;
    const piece = await read(Math.min(PIECE, size - position), position);
    if (piece.length === 0) throw new Error('it ends early');
    position += piece.length;
    stream.push(piece, position === size);
    for (const bytes of waiting) {
      there += bytes.length;
      if (there > limit) throw new Error(`it has more than ${limit} bytes`);
      await write(bytes);
    }
    waiting = [];
    onBytes(there);
  }
  if (!ended) throw new Error('it ends early');
}
