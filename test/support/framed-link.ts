// One proxied connection: a client's socket, the server's, and what is held back between them, frame by frame.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { ProxiedRequest, Rule, Target } from "./framed-proxy.js";
import type { Direction, Framer, Tag } from "./framer.js";

/** What a connection asks of its proxy. */
interface LinkOwner<Operation extends Tag, Session> {
  readonly framer: Framer<Operation, Session>;
  /** The rule for this request, which is used up by that. */
  takeRule(request: ProxiedRequest<Operation>): Rule<Operation, Session> | null;
  /** Whether the servers do not know what this request asks for. */
  isUnknown(request: ProxiedRequest<Operation>): boolean;
  granted(session: Session): void;
  ended(): void;
}

interface Awaited<Operation extends Tag, Session> {
  readonly request: ProxiedRequest<Operation>;
  readonly rule: Rule<Operation, Session> | null;
}

/** What is on its way, in order: frames, and the end of the connection. A request that a rule has held is not judged again. */
type PendingRequest<Operation> = { readonly frame: Buffer; readonly held: ProxiedRequest<Operation> | null } | "end";
type PendingReply = { readonly frame: Buffer; readonly wasHeld: boolean } | "end";

//   flowing ⇄ frozen; beside that each direction flowing ⇄ held; all → cut
export class FramedLink<Operation extends Tag, Session> {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #owner: LinkOwner<Operation, Session>;
  /** Requests that the server has not answered yet, in their order; several may share a tag. */
  readonly #awaited = new Map<Tag, Awaited<Operation, Session>[]>();
  readonly #toServer: PendingRequest<Operation>[] = [];
  readonly #toClient: PendingReply[] = [];
  #frozen = false;
  #heldRequests = false;
  #heldReplies = false;
  #gone = false;

  constructor(client: Socket, target: Target, owner: LinkOwner<Operation, Session>) {
    this.#client = client;
    this.#owner = owner;
    this.#server = connect(target.port, target.host);
    for (const socket of [client, this.#server]) {
      socket.setNoDelay(true);
      // Errors are ends like others: the close that follows is passed on.
      socket.on("error", () => undefined);
    }
    client.on("data", (chunk) => this.#received("requests", chunk));
    client.once("close", () => this.#received("requests", "end"));
    this.#server.on("data", (chunk) => this.#received("replies", chunk));
    this.#server.once("close", () => this.#received("replies", "end"));
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

  #received(direction: Direction, chunk: Buffer | "end"): void {
    if (this.#gone) return;
    let frames: readonly Buffer[] = [];
    try {
      if (chunk !== "end") frames = this.#owner.framer.split(direction, chunk);
    } catch {
      void this.cut();
      return;
    }
    if (direction === "requests") this.#toServer.push(...frames.map((frame) => ({ frame, held: null })));
    else this.#toClient.push(...frames.map((frame) => ({ frame, wasHeld: false })));
    if (chunk === "end") (direction === "requests" ? this.#toServer : this.#toClient).push("end");
    this.#flow();
  }

  #flow(): void {
    while (!this.#gone && !this.#frozen && !this.#heldRequests && this.#toServer.length > 0) {
      this.#passToServer(this.#toServer.shift() as PendingRequest<Operation>);
    }
    while (!this.#gone && !this.#frozen && !this.#heldReplies && this.#toClient.length > 0) {
      this.#passToClient(this.#toClient.shift() as PendingReply);
    }
  }

  #passToServer(pending: PendingRequest<Operation>): void {
    if (pending === "end") {
      void this.cut();
      return;
    }
    const { frame, held } = pending;
    const request = held ?? { ...this.#owner.framer.read(frame), frame };
    const rule = held === null ? this.#owner.takeRule(request) : null;
    if (rule?.fault === "drop-request") {
      rule.happened(request, this);
      return;
    }
    if (rule?.fault === "hold-request") {
      this.#heldRequests = true;
      this.#toServer.unshift({ frame, held: request });
      rule.happened(request, this);
      return;
    }
    const waiting = this.#awaited.get(request.tag) ?? [];
    waiting.push({ request, rule: rule?.fault === "observe" ? null : rule });
    this.#awaited.set(request.tag, waiting);
    this.#server.write(this.#owner.isUnknown(request) ? this.#owner.framer.asUnknown(frame) : frame);
    if (rule?.fault === "observe") rule.happened(request, this);
  }

  #passToClient(pending: PendingReply): void {
    if (pending === "end") {
      void this.cut();
      return;
    }
    const { frame, wasHeld } = pending;
    const answered = wasHeld ? null : this.#takeAwaited(frame);
    if (answered !== null && answered.rule !== null) {
      if (answered.rule.fault === "hold-reply") {
        this.#heldReplies = true;
        this.#toClient.unshift({ frame, wasHeld: true });
      }
      answered.rule.happened(answered.request, this);
      return;
    }
    this.#client.write(frame);
  }

  /** The request that a reply answers; `null` for what the server says by itself. */
  #takeAwaited(frame: Buffer): Awaited<Operation, Session> | null {
    const tag = this.#owner.framer.tagAnswered(frame);
    const session = this.#owner.framer.sessionIn(frame);
    if (session !== null) this.#owner.granted(session);
    const waiting = tag === null ? undefined : this.#awaited.get(tag);
    const first = waiting?.shift() ?? null;
    if (tag !== null && waiting?.length === 0) this.#awaited.delete(tag);
    return first;
  }
}

/** Resolves when `socket` is closed, whatever the reason. */
export async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, "close").catch(() => undefined);
}
