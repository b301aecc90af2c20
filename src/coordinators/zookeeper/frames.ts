// Cutting what a server sends into frames: four bytes that say how long it is, and the rest of it.

const LENGTH = 4;

// Well above what a server sends at the most (its own limit is 1 MiB for a znode): a greater length is no length.
const LONGEST_FRAME = 256 * 1_048_576;

export class Frames {
  /** A frame of which a part has come; its length alone as long as that has not come whole. */
  #begun: Buffer | null = null;
  #filled = 0;

  /**
   * Gives each whole frame to `take`, with its length, until that says that no more are wanted. What is kept of `chunk` is
   * copied.
   * @throws Error for what is no frame
   */
  push(chunk: Buffer, take: (frame: Buffer) => boolean): void {
    for (let at = 0; at < chunk.length;) {
      const end = this.#begun === null && chunk.length - at >= LENGTH ? at + LENGTH + lengthAt(chunk, at) : null;
      if (end !== null && end <= chunk.length) {
        if (!take(chunk.subarray(at, end))) return;
        at = end;
      } else {
        const begun = (this.#begun ??= Buffer.allocUnsafe(LENGTH));
        const copied = chunk.copy(begun, this.#filled, at);
        at += copied;
        this.#filled += copied;
        if (this.#filled < begun.length) return;
        if (begun.length === LENGTH) {
          this.#begun = Buffer.allocUnsafe(LENGTH + lengthAt(begun, 0));
          begun.copy(this.#begun);
        } else {
          this.clear();
          if (!take(begun)) return;
        }
      }
    }
  }

  /** Forgets what has come of a frame whose rest will not. */
  clear(): void {
    this.#begun = null;
    this.#filled = 0;
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readInt32BE(at);
  if (length <= 0 || length > LONGEST_FRAME) throw new Error("what answers there does not speak ZooKeeper's protocol");
  return length;
}
