// A TCP proxy between a ZooKeeper client and its servers that does to single requests and replies, or to whole
// connections, what networks and frozen servers do. Owns the rules and the listeners; one connection is in fault-proxy-link.ts.
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { FaultLink } from "./fault-proxy-link.js";
import { opcodeName, type SessionCredentials } from "./zookeeper-frames.js";
import type { ServerAddress } from "./zookeeper-server.js";

/** A request as it came from the client. */
export interface ProxiedRequest {
  /** One of `Opcode`. */
  readonly opcode: number;
  readonly xid: number;
  /** Everything after the length, header included. */
  readonly frame: Buffer;
}

/** Which request is meant: its opcode, or one of several, and what else must be true of it. */
export type RequestMatch = number | { readonly opcode: number | readonly number[]; readonly where?: (frame: Buffer) => boolean };

/** A request or a reply that the proxy keeps back. */
export interface Held {
  /** Resolves when the proxy has it. */
  readonly caught: Promise<ProxiedRequest>;
  /** Lets it go on, and all that came after it on its connection. Before it is caught: it will not be held. */
  release(): void;
  /** Never lets it go on: cuts its connection. */
  cut(): void;
}

/** What becomes of new connections: served; refused; or accepted by the system and answered by nobody. */
export type Welcome = "serve" | "refuse" | "ignore";

/** A rule that waits for its request. */
export interface Rule {
  readonly match: RequestMatch;
  readonly fault: "observe" | "drop-request" | "drop-reply" | "hold-request" | "hold-reply";
  /** The request has come (for `drop-reply` and `hold-reply`: its reply has). */
  readonly happened: (request: ProxiedRequest, link: FaultLink) => void;
}

/** Opens a proxy in front of one or several servers, each on a port of its own. */
export async function openFaultProxy(...targets: readonly ServerAddress[]): Promise<FaultProxy> {
  const proxy = new FaultProxy(targets.map((target) => ({ target, server: null, port: 0, welcome: "serve", frozen: false })));
  await proxy.listen();
  return proxy;
}

interface Gate {
  readonly target: ServerAddress;
  server: Server | null;
  port: number;
  welcome: Welcome;
  frozen: boolean;
}

//   each gate: serve ⇄ refuse ⇄ ignore, and beside that flowing ⇄ frozen; all → closed
export class FaultProxy {
  readonly host = "127.0.0.1";
  readonly #gates: readonly Gate[];
  readonly #links = new Map<FaultLink, Gate>();
  readonly #ignored = new Set<Socket>();
  readonly #rules: Rule[] = [];
  readonly #unknown: RequestMatch[] = [];
  readonly #counts = new Map<number, number>();
  readonly #sessions: SessionCredentials[] = [];

  constructor(gates: readonly Gate[]) {
    this.#gates = gates;
  }

  /** The port in front of the first server. */
  get port(): number {
    return (this.#gates[0] as Gate).port;
  }

  /** `host:port` of every gate, joined by commas: what to put into a coordinator's URL. */
  get address(): string {
    return this.#gates.map((gate) => `${this.host}:${gate.port}`).join(",");
  }

  /** The sessions that servers have granted or confirmed through this proxy, oldest first, each once. */
  get sessions(): readonly SessionCredentials[] {
    return this.#sessions;
  }

  /** Connections that are open at the moment. */
  get connections(): number {
    return this.#links.size;
  }

  /** How many requests with this opcode have come from clients. */
  count(opcode: number): number {
    return this.#counts.get(opcode) ?? 0;
  }

  /** Holds everything in both directions back, ends of connections included, and keeps all connections open: a frozen server, a pulled cable. */
  freeze(gate?: number): void {
    for (const one of this.#chosen(gate)) one.frozen = true;
    for (const [link, its] of this.#links) if (its.frozen) link.freeze();
  }

  /** Lets everything flow again, what was held back first, as TCP does. */
  thaw(gate?: number): void {
    for (const one of this.#chosen(gate)) one.frozen = false;
    for (const [link, its] of this.#links) if (!its.frozen) link.thaw();
  }

  /** Ends all connections now, on both sides. Resolves when they are gone. */
  async cut(gate?: number): Promise<void> {
    const chosen = this.#chosen(gate);
    const links = [...this.#links].filter(([, its]) => chosen.includes(its)).map(([link]) => link);
    await Promise.all(links.map((link) => link.cut()));
    for (const socket of this.#ignored) socket.destroy();
  }

  /** Decides what becomes of connections from now on; those that are open stay. */
  async welcome(welcome: Welcome, gate?: number): Promise<void> {
    for (const one of this.#chosen(gate)) {
      one.welcome = welcome;
      if (welcome === "refuse") stopListening(one);
      else if (one.server === null) await this.#listenAt(one);
    }
  }

  /** Resolves with the next request that matches, once it has been passed on. */
  seen(match: RequestMatch): Promise<ProxiedRequest> {
    return new Promise((resolve) => this.#arm({ match, fault: "observe", happened: resolve }));
  }

  /** The next request that matches never reaches the server; its connection is cut. Resolves when that has happened. */
  dropRequest(match: RequestMatch): Promise<ProxiedRequest> {
    return this.#armCut(match, "drop-request");
  }

  /** The next request that matches reaches the server, its reply is swallowed, and its connection is cut. Resolves when that has happened. */
  dropReply(match: RequestMatch): Promise<ProxiedRequest> {
    return this.#armCut(match, "drop-reply");
  }

  /** The next request that matches is kept back, and all that follow on its connection, until it is released. */
  holdRequest(match: RequestMatch): Held {
    return this.#hold(match, "hold-request");
  }

  /** The next request that matches reaches the server, and its reply is kept back with all that follow. */
  holdReply(match: RequestMatch): Held {
    return this.#hold(match, "hold-reply");
  }

  /** From now on the servers do not know such requests, as if they were older. */
  forgetHow(match: RequestMatch): void {
    this.#unknown.push(match);
  }

  /** Rules that still wait for their request, in words. A test that armed a fault can see that it was used. */
  get armed(): readonly string[] {
    return this.#rules.map(({ fault, match }) => `${fault} ${opcodesOf(match).map(opcodeName).join(" or ")}`);
  }

  /** Ends everything; nothing is served any more. */
  async close(): Promise<void> {
    for (const gate of this.#gates) stopListening(gate);
    this.#rules.length = 0;
    await this.cut();
  }

  async listen(): Promise<void> {
    for (const gate of this.#gates) await this.#listenAt(gate);
  }

  async #listenAt(gate: Gate): Promise<void> {
    const server = createServer((socket) => this.#accept(socket, gate));
    server.listen(gate.port, this.host);
    await once(server, "listening");
    gate.server = server;
    gate.port = (server.address() as { port: number }).port;
  }

  #accept(socket: Socket, gate: Gate): void {
    if (gate.welcome === "ignore") {
      this.#ignored.add(socket);
      socket.on("error", () => undefined).once("close", () => this.#ignored.delete(socket));
      return;
    }
    const link = new FaultLink(socket, gate.target, {
      takeRule: (request) => this.#takeRule(request),
      isUnknown: (request) => this.#unknown.some((match) => matches(match, request)),
      granted: (session) => {
        if (!this.#sessions.some(({ id }) => id === session.id)) this.#sessions.push(session);
      },
      ended: () => this.#links.delete(link),
    });
    this.#links.set(link, gate);
    if (gate.frozen) link.freeze();
  }

  #takeRule(request: ProxiedRequest): Rule | null {
    this.#counts.set(request.opcode, this.count(request.opcode) + 1);
    const position = this.#rules.findIndex(({ match }) => matches(match, request));
    return position < 0 ? null : (this.#rules.splice(position, 1)[0] as Rule);
  }

  #arm(rule: Rule): void {
    this.#rules.push(rule);
  }

  #armCut(match: RequestMatch, fault: "drop-request" | "drop-reply"): Promise<ProxiedRequest> {
    return new Promise((resolve, reject) => {
      const happened = (request: ProxiedRequest, link: FaultLink) => {
        link.cut().then(() => resolve(request), reject);
      };
      this.#arm({ match, fault, happened });
    });
  }

  #hold(match: RequestMatch, fault: "hold-request" | "hold-reply"): Held {
    let caughtBy: FaultLink | null = null;
    let rule: Rule | null = null;
    const caught = new Promise<ProxiedRequest>((resolve) => {
      const happened = (request: ProxiedRequest, link: FaultLink) => {
        caughtBy = link;
        resolve(request);
      };
      rule = { match, fault, happened };
      this.#arm(rule);
    });
    return {
      caught,
      release: () => {
        if (caughtBy !== null) caughtBy.release();
        else if (rule !== null && this.#rules.includes(rule)) this.#rules.splice(this.#rules.indexOf(rule), 1);
      },
      cut: () => void caughtBy?.cut(),
    };
  }

  #chosen(gate: number | undefined): readonly Gate[] {
    return gate === undefined ? this.#gates : [this.#gates[gate] as Gate];
  }
}

/** A predicate for {@link RequestMatch}: does the request mention this text, such as a claim's id or a path? */
export function mentions(text: string): (frame: Buffer) => boolean {
  return (frame) => frame.includes(text);
}

function matches(match: RequestMatch, request: ProxiedRequest): boolean {
  if (!opcodesOf(match).includes(request.opcode)) return false;
  return typeof match === "number" || match.where === undefined || match.where(request.frame);
}

function opcodesOf(match: RequestMatch): readonly number[] {
  if (typeof match === "number") return [match];
  return typeof match.opcode === "number" ? [match.opcode] : match.opcode;
}

function stopListening(gate: Gate): void {
  // Not awaited: a listener counts as closed only when its connections are, and those are to stay.
  gate.server?.close();
  gate.server = null;
}
