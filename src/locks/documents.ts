// Documents: small versioned values beside the queues.

/** A small versioned value beside the queues, for what all who use a store must know. Settling can be made to depend on it. */
export interface Document {
  readonly name: string;
  readonly value: string;
  /** Grows with every write. A document that is removed and made again goes on behind the revisions that it had. */
  readonly revision: number;
}

/** That a document still has the revision that was read; 0: that it is not there. */
export interface DocumentCheck {
  readonly name: string;
  readonly revision: number;
}

/** A write to a document: it happens only if the document has the revision that was read; 0: if it is not there. */
export interface DocumentWrite {
  readonly name: string;
  /** `null` removes it. */
  readonly value: string | null;
  readonly revision: number;
}

/** About how many bytes writing these documents adds to a transaction. */
export function bytesOf(writes: readonly DocumentWrite[]): number {
  return writes.reduce((sum, { name, value }) => sum + BYTES_PER_DOCUMENT + byteLength(name) + byteLength(value ?? ""), 0);
}

// The step around it, and the path of its folder.
const BYTES_PER_DOCUMENT = 200;

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
