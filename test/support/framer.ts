// What the fault proxy has to know of a protocol: where frames end, what a request asks for, which claim it is about, and
// which reply answers it. zookeeper-framer.ts is one; framed-proxy.ts uses them.

/** From the client, or from the server. */
export type Direction = "requests" | "replies";

/** Tells requests apart until they are answered. Where replies come in the order of their requests, all may have the same. */
export type Tag = string | number;

/** What a client asks for in one frame. */
export interface Asked<Operation> {
  /** What the protocol calls it: a number, or a word. */
  readonly operation: Operation;
  readonly tag: Tag;
}

/** Follows one connection: each frame is given once, in the order in which it came, so a framer may count on a handshake. */
export interface Framer<Operation extends Tag, Session> {
  /** Cuts a stream into frames, each with all of its bytes. What is not whole yet is kept for the next call. Throws at another protocol. */
  split(direction: Direction, chunk: Buffer): readonly Buffer[];
  read(request: Buffer): Asked<Operation>;
  /** Whether a request is about a claim. */
  isAbout(request: Buffer, claim: string): boolean;
  /** The tag of the request that a reply answers; `null` for what a server says by itself. */
  tagAnswered(reply: Buffer): Tag | null;
  /** The session that a reply grants or confirms, in protocols that have them. */
  sessionIn(reply: Buffer): Session | null;
  /** The request as one that no server knows, as if the servers were older. */
  asUnknown(request: Buffer): Buffer;
}

/** A protocol: its framers, and its words for messages. */
export interface Protocol<Operation extends Tag, Session> {
  createFramer(): Framer<Operation, Session>;
  nameOf(operation: Operation): string;
  /** Tells sessions apart. */
  sessionId(session: Session): string;
}
