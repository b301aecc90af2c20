// The links between the servers of an ensemble, each direction a relay of its own, so that servers can be cut off from
// one another as by a pulled cable: nothing passes, and no server learns why. Clients reach every server all the while.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Ensemble, type PeerPorts, type ServerOptions, startEnsemble } from "./zookeeper-server.js";

/** Three servers whose links to each other can be cut. */
export interface LinkedEnsemble extends Ensemble {
  /** Cuts a server off from both others; given by its index in `servers`. Connections stay open, and nothing passes. */
  isolate(index: number): void;
  /** Cuts the link between two servers, both ways. */
  cut(one: number, other: number): void;
  /** Nothing that `from` sends to `to` arrives any more; the other way all is well, and neither server learns of it. */
  silence(from: number, to: number): void;
  /** All links work again; what was under way arrives first, as with TCP. */
  mend(): void;
}

/** Starts three servers that reach each other through links; resolves when all of them serve. */
export async function startLinkedEnsemble(options: ServerOptions = {}): Promise<LinkedEnsemble> {
  const links: Link[] = [];
  const closeLinks = async () => {
    await Promise.all(links.map((link) => link.close()));
  };
  try {
    const ensemble = await startEnsemble(options, async (peers) => {
      const seen = await Promise.all(peers.map((_, from) => seenFrom(from, peers, links)));
      announceThroughLinks(links, peers, seen);
      return seen;
    });
    const cutAll = (isCut: (one: number, other: number) => boolean) => {
      for (const link of links) if (isCut(link.from, link.to)) link.cut();
    };
    return {
      ...ensemble,
      isolate: (index) => cutAll((one, other) => one === index || other === index),
      cut: (one, other) => cutAll((from, to) => (from === one && to === other) || (from === other && to === one)),
      silence: (one, other) => {
        for (const link of links) {
          if (link.from === one && link.to === other) link.cut("requests");
          if (link.from === other && link.to === one) link.cut("answers");
        }
      },
      mend: () => {
        for (const link of links) link.mend();
      },
      close: async () => {
        await ensemble.close();
        await closeLinks();
      },
    };
  } catch (error) {
    await closeLinks();
    throw error;
  }
}

/** The ports at which one server reaches all: its own as they are, the others' through links. */
async function seenFrom(from: number, peers: readonly PeerPorts[], links: Link[]): Promise<PeerPorts[]> {
  const open = async (to: number, port: number): Promise<number> => {
    const link = new Link(from, to, port);
    links.push(link);
    await link.listen();
    return link.port;
  };
  return Promise.all(
    peers.map(async (ports, to) =>
      to === from ? ports : { quorum: await open(to, ports.quorum), election: await open(to, ports.election) },
    ),
  );
}

/**
 * A server that opens a connection for elections sends the address at which the other may call back. The proxy replaces it by
 * the address of the other's link, or the call would bypass the links.
 */
function announceThroughLinks(links: readonly Link[], peers: readonly PeerPorts[], seen: readonly (readonly PeerPorts[])[]): void {
  for (const link of links) {
    const own = `127.0.0.1:${peers[link.from]?.election}`;
    link.rewrite = (greeting) => rewriteAddress(greeting, own, `127.0.0.1:${seen[link.to]?.[link.from]?.election}`);
  }
}

// The greeting on an election port: a version and the sender's number, eight bytes each, then its address with its length.
const ADDRESS_AT = 8 + 8 + 4;

function rewriteAddress(greeting: Buffer, from: string, to: string): Buffer {
  if (greeting.toString("latin1", ADDRESS_AT, ADDRESS_AT + from.length) !== from) return greeting;
  const head = Buffer.from(greeting.subarray(0, ADDRESS_AT));
  head.writeInt32BE(to.length, ADDRESS_AT - 4);
  return Buffer.concat([head, Buffer.from(to, "latin1"), greeting.subarray(ADDRESS_AT + from.length)]);
}

/** What a link carries: what the server that opened a connection sends, and what it is sent. */
type Direction = "requests" | "answers";

/** One server's way to one port of another. */
//   each direction flowing ⇄ cut; all → closed
class Link {
  /** What becomes of the first bytes of each connection. */
  rewrite: (greeting: Buffer) => Buffer = (greeting) => greeting;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #unanswered = new Set<Socket>();
  readonly #isCut = { requests: false, answers: false };

  constructor(
    readonly from: number,
    readonly to: number,
    readonly target: number,
  ) {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  cut(...directions: readonly Direction[]): void {
    const cut = directions.length === 0 ? (["requests", "answers"] as const) : directions;
    for (const direction of cut) this.#isCut[direction] = true;
    for (const [opened, called] of this.#pairs) {
      if (this.#isCut.requests) opened.pause();
      if (this.#isCut.answers) called.pause();
    }
  }

  mend(): void {
    Object.assign(this.#isCut, { requests: false, answers: false });
    // A server that connected meanwhile waits for an answer that no cable would have brought. It connects again.
    for (const socket of this.#unanswered) socket.destroy();
    for (const socket of [...this.#pairs].flat()) socket.resume();
  }

  async close(): Promise<void> {
    for (const socket of [...this.#unanswered, ...[...this.#pairs].flat()]) socket.destroy();
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #accept(socket: Socket): void {
    // An error is an end like others.
    socket.on("error", () => undefined);
    // Cut one way, no connection comes about either: its handshake needs both.
    if (this.#isCut.requests || this.#isCut.answers) {
      this.#unanswered.add(socket);
      socket.once("close", () => this.#unanswered.delete(socket));
      return;
    }
    const other = connect(this.target, "127.0.0.1");
    other.on("error", () => undefined);
    const pair = [socket, other] as const;
    this.#pairs.add(pair);
    socket.once("data", (greeting) => {
      other.write(this.rewrite(greeting));
      socket.on("data", (chunk) => other.write(chunk));
    });
    other.on("data", (chunk) => socket.write(chunk));
    for (const [one, end] of [pair, [other, socket]] as const) {
      one.setNoDelay(true);
      one.once("close", () => {
        this.#pairs.delete(pair);
        end.destroy();
      });
    }
  }
}
