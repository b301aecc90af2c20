// ZooKeeper's wire format, as far as the harness needs it: frames, their headers, and the handshake.
import { connect, type Socket } from "node:net";

/** What a request asks for: the numbers of ZooDefs.OpCode. `createSession` stands for the handshake, which has no header. */
export const Opcode = {
  createSession: -10,
  closeSession: -11,
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getAcl: 6,
  setAcl: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  removeWatches: 18,
  createContainer: 19,
  auth: 100,
  setWatches: 101,
  sasl: 102,
  addWatch: 106,
} as const;

/** The name of an opcode, for messages. */
export function opcodeName(opcode: number): string {
  return Object.entries(Opcode).find(([, number]) => number === opcode)?.[0] ?? `opcode ${opcode}`;
}

/** A session as the server knows it. */
export interface SessionCredentials {
  readonly id: bigint;
  readonly password: Buffer;
  /** What the server has granted. */
  readonly timeoutMs: number;
}

// The server's own limit (jute.maxbuffer) is 1 MiB: what claims to be longer is not ZooKeeper's protocol.
const LONGEST_FRAME = 4 * 1024 * 1024;

/** Cuts a stream of bytes into frames. A frame is given without the four bytes of its length. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: Buffer[] = [];
    while (this.#pending.length >= 4) {
      const length = this.#pending.readInt32BE(0);
      if (length < 0 || length > LONGEST_FRAME) throw new Error(`not ZooKeeper's protocol: a frame of ${length} bytes`);
      if (this.#pending.length < 4 + length) break;
      frames.push(this.#pending.subarray(4, 4 + length));
      this.#pending = this.#pending.subarray(4 + length);
    }
    return frames;
  }
}

/** A frame with its length in front, as it goes over the wire. */
export function toWire(frame: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(frame.length);
  return Buffer.concat([length, frame]);
}

/** The session in a ConnectResponse; `null` when the server has refused it because it has expired. */
export function readSession(response: Buffer): SessionCredentials | null {
  const timeoutMs = response.readInt32BE(4);
  const id = response.readBigInt64BE(8);
  if (timeoutMs <= 0 || id === 0n) return null;
  const length = response.readInt32BE(16);
  return { id, timeoutMs, password: Buffer.from(response.subarray(20, 20 + length)) };
}

/**
 * Ends a session on the server for real, from outside: connects with its id and password, and closes it. Its client
 * learns of it as of any expiry. Resolves when the server has confirmed it.
 */
export async function expireSession(
  server: { readonly host: string; readonly port: number },
  session: Pick<SessionCredentials, "id" | "password">,
): Promise<void> {
  // The server hangs up on the session's client when another takes it over; that is back at once, and does the same to
  // us. Until one of our attempts has got through, it is made again.
  for (let attempts = 1; ; attempts += 1) {
    const outcome = await attemptExpiry(server, session);
    if (outcome === "ended" || (outcome === "unknown" && attempts > 1)) return;
    if (outcome === "unknown") throw new Error(`the server does not know session 0x${session.id.toString(16)}`);
  }
}

async function attemptExpiry(
  server: { readonly host: string; readonly port: number },
  { id, password }: Pick<SessionCredentials, "id" | "password">,
): Promise<"ended" | "unknown" | "interrupted"> {
  const socket = connect(server.port, server.host);
  socket.setTimeout(5_000, () => socket.destroy(new Error(`${server.host}:${server.port} did not end the session in 5 s`)));
  try {
    const replies = framesOf(socket);
    const hello = Buffer.alloc(28);
    hello.writeInt32BE(30_000, 12);
    hello.writeBigInt64BE(id, 16);
    hello.writeInt32BE(password.length, 24);
    const goodbye = Buffer.alloc(8);
    goodbye.writeInt32BE(1, 0);
    goodbye.writeInt32BE(Opcode.closeSession, 4);
    // Both at once, to be quicker than the client.
    socket.write(Buffer.concat([toWire(Buffer.concat([hello, password, Buffer.from([0])])), toWire(goodbye)]));
    const welcome = (await replies.next()).value;
    if (welcome === undefined) return "interrupted";
    if (readSession(welcome) === null) return "unknown";
    // The server answers once the session and its ephemeral nodes are gone, and then closes the connection.
    return (await replies.next()).value === undefined ? "interrupted" : "ended";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ECONNRESET") return "interrupted";
    throw error;
  } finally {
    socket.destroy();
  }
}

async function* framesOf(socket: Socket): AsyncGenerator<Buffer, undefined> {
  const reader = new FrameReader();
  for await (const chunk of socket) yield* reader.push(chunk as Buffer);
  return undefined;
}
