// The pieces of /live/mux, as docs/api.md has them.

export const KIND = { description: 0, init: 1, media: 2, state: 3 };
export const FLAG = { key: 1, discontinuity: 2, newRun: 4, catchUp: 8 };

const HEADER_SIZE = 32;
const PIECE_SIZE_MAX = 64 * 1024 * 1024;

/** Bytes that come in any portions, taken in others. */
class Portions {
  #reader;
  #parts = [];
  #size = 0;

  constructor(reader) {
    this.#reader = reader;
  }

  /** Exactly so many bytes, or null at the end. */
  async take(size) {
    while (this.#size < size) {
      const { done, value } = await this.#reader.read();
      if (done) return null;
      this.#parts.push(value);
      this.#size += value.length;
    }
    const out = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const part = this.#parts[0];
      const used = Math.min(part.length, size - at);
      out.set(part.subarray(0, used), at);
      at += used;
      if (used === part.length) this.#parts.shift();
      else this.#parts[0] = part.subarray(used);
    }
    this.#size -= size;
    return out;
  }
}

function readHeader(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE);
  return {
    kind: view.getUint8(0),
    tile: view.getUint8(1),
    flags: view.getUint16(2, true),
    length: view.getUint32(4, true),
    start: view.getFloat64(8, true),
    duration: view.getFloat64(16, true),
    age: view.getFloat64(24, true),
  };
}

/** Yields {kind, tile, flags, start, duration, age, body} until the answer ends. */
export async function* readPieces(body) {
  const portions = new Portions(body.getReader());
  for (;;) {
    const bytes = await portions.take(HEADER_SIZE);
    if (bytes === null) return;
    const piece = readHeader(bytes);
    if (piece.length > PIECE_SIZE_MAX) throw new Error("a piece of the live view is absurdly large");
    piece.body = await portions.take(piece.length);
    if (piece.body === null) return;
    yield piece;
  }
}
