// One proxied connection: a client's socket, the server's, and what is held back between them, frame by frame.
import { connect, type Socket } from "node:net";
import type { ProxiedRequest, Rule } from "./fault-proxy.js";
import { closed, FrameReader, Opcode, readSession, type SessionCredentials, toWire } from "./zookeeper-frames.js";
import type { ServerAddress } from "./zookeeper-server.js";

/** What a connection asks of its proxy. */
interface LinkOwner {
  /** The rule for this request, which is used up by that. */
  takeRule(request: ProxiedRequest): Rule | null;
  /** Is the server not to know what this request asks for? */
  isUnknown(request: ProxiedRequest): boolean;
  granted(session: SessionCredentials): void;
  ended(): void;
}

interface Awaited {
  readonly request: ProxiedRequest;
  readonly rule: Rule | null;
}

/** What is on its way, in order: frames, and the end of the connection. A frame that a rule has held is not judged again. */
type Pending = { readonly frame: Buffer; readonly wasHeld: boolean } | "end";

// Clients count from 1, and use -1 to -8 for what is not an ordinary request.
const HANDSHAKE_XID = -100;

//   flowing ⇄ frozen; beside that each direction flowing ⇄ held; all → cut
export class FaultLink {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #owner: LinkOwner;
  readonly #requests = new FrameReader();
  readonly #replies = new FrameReader();
  /** Requests that the server has not answered yet, by xid; several pings share one. */
  readonly #awaited = new Map<number, Awaited[]>();
  readonly #toServer: Pending[] = [];
  readonly #toClient: Pending[] = [];
  #saidHello = false;
  #welcomed = false;
  #frozen = false;
  #heldRequests = false;
  #heldReplies = false;
  #gone = false;

  constructor(client: Socket, target: ServerAddress, owner: LinkOwner) {
    this.#client = client;
    this.#owner = owner;
    this.#server = connect(target.port, target.host);
    for (const socket of [client, this.#server]) {
      socket.setNoDelay(true);
      // Errors are ends like others: the close that follows is passed on.
      socket.on("error", () => undefined);
    }
    client.on("data", (chunk) => this.#received(this.#toServer, this.#requests, chunk));
    client.once("close", () => this.#received(this.#toServer, null, null));
    this.#server.on("data", (chunk) => this.#received(this.#toClient, this.#replies, chunk));
    this.#server.once("close", () => this.#received(this.#toClient, null, null));
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    this.#flow();
  }

  /** Lets go what a rule has held. */
  release(): void {
    this.#heldRequests = false;
    this.#heldReplies = false;
    this.#flow();
  }

  /** Ends both sides now; what is held back is lost. */
  async cut(): Promise<void> {
    if (!this.#gone) {
      this.#gone = true;
      this.#toServer.length = 0;
      this.#toClient.length = 0;
      this.#client.destroy();
      this.#server.destroy();
      this.#owner.ended();
    }
    await Promise.all([closed(this.#client), closed(this.#server)]);
  }

  #received(direction: Pending[], reader: FrameReader | null, chunk: Buffer | null): void {
    if (this.#gone) return;
    if (reader === null || chunk === null) {
      direction.push("end");
    } else {
      try {
        direction.push(...reader.push(chunk).map((frame) => ({ frame, wasHeld: false })));
      } catch {
        void this.cut();
        return;
      }
    }
    this.#flow();
  }

  #flow(): void {
    while (!this.#gone && !this.#frozen && !this.#heldRequests && this.#toServer.length > 0) {
      this.#passToServer(this.#toServer.shift() as Pending);
    }
    while (!this.#gone && !this.#frozen && !this.#heldReplies && this.#toClient.length > 0) {
      this.#passToClient(this.#toClient.shift() as Pending);
    }
  }

  #passToServer(pending: Pending): void {
    if (pending === "end") {
      void this.cut();
      return;
    }
    const { frame } = pending;
    const request = this.#readRequest(frame);
    const rule = pending.wasHeld ? null : this.#owner.takeRule(request);
    if (rule?.fault === "drop-request") {
      rule.happened(request, this);
      return;
    }
    if (rule?.fault === "hold-request") {
      this.#heldRequests = true;
      this.#toServer.unshift({ frame, wasHeld: true });
      rule.happened(request, this);
      return;
    }
    this.#saidHello = true;
    const waiting = this.#awaited.get(request.xid) ?? [];
    waiting.push({ request, rule: rule?.fault === "observe" ? null : rule });
    this.#awaited.set(request.xid, waiting);
    this.#server.write(toWire(this.#owner.isUnknown(request) ? underNoNumber(frame) : frame));
    if (rule?.fault === "observe") rule.happened(request, this);
  }

  #passToClient(pending: Pending): void {
    if (pending === "end") {
      void this.cut();
      return;
    }
    const { frame } = pending;
    const answered = pending.wasHeld ? null : this.#takeAwaited(frame);
    if (answered !== null && answered.rule !== null) {
      if (answered.rule.fault === "hold-reply") {
        this.#heldReplies = true;
        this.#toClient.unshift({ frame, wasHeld: true });
      }
      answered.rule.happened(answered.request, this);
      return;
    }
    this.#client.write(toWire(frame));
  }

  #readRequest(frame: Buffer): ProxiedRequest {
    // The first frame of a connection is the handshake, which has no header: any xid will do that no request has.
    if (!this.#saidHello || frame.length < 8) return { opcode: Opcode.createSession, xid: HANDSHAKE_XID, frame };
    return { xid: frame.readInt32BE(0), opcode: frame.readInt32BE(4), frame };
  }

  /** The request that a reply answers; `null` for a watch's notification, which answers none. */
  #takeAwaited(frame: Buffer): Awaited | null {
    let xid = HANDSHAKE_XID;
    if (this.#welcomed) {
      xid = frame.readInt32BE(0);
    } else {
      this.#welcomed = true;
      const session = readSession(frame);
      if (session !== null) this.#owner.granted(session);
    }
    const waiting = this.#awaited.get(xid);
    const first = waiting?.shift() ?? null;
    if (waiting?.length === 0) this.#awaited.delete(xid);
    return first;
  }
}

// No server knows it: it says so, and hangs up, as an old one does with what came after its time.
const NO_OPCODE = 999;

function underNoNumber(frame: Buffer): Buffer {
  const changed = Buffer.from(frame);
  changed.writeInt32BE(NO_OPCODE, 4);
  return changed;
}
