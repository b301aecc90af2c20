// A TCP proxy between a client and its servers that does to single requests and replies, or to whole connections, what
// networks and frozen servers do, in any protocol that has a framer. Owns the rules and the listeners; one connection is in
// framed-link.ts.
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { FramedLink } from "./framed-link.js";
import type { Asked, Framer, Protocol, Tag } from "./framer.js";

/** A server behind the proxy. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** A request as it came from the client. */
export interface ProxiedRequest<Operation> extends Asked<Operation> {
  /** All of its bytes. */
  readonly frame: Buffer;
}

/** Which request is meant: what it asks for, or one of several such, and what else must be true of it. */
export type RequestMatch<Operation extends Tag> =
  | Operation
  | {
      readonly operation: Operation | readonly Operation[];
      /** It is about this claim. */
      readonly claim?: string;
      readonly where?: (frame: Buffer) => boolean;
    };

/** A request or a reply that the proxy keeps back. */
export interface Held<Operation> {
  /** Resolves when the proxy has it. */
  readonly caught: Promise<ProxiedRequest<Operation>>;
  /** Lets it go on, and all that came after it on its connection. Before it is caught: it will not be held. */
  release(): void;
  /** Never lets it go on: cuts its connection. */
  cut(): void;
}

/** What becomes of new connections: served; refused; or accepted by the system and answered by nobody. */
export type Welcome = "serve" | "refuse" | "ignore";

/** A rule that waits for its request. */
export interface Rule<Operation extends Tag, Session> {
  readonly match: RequestMatch<Operation>;
  readonly fault: "observe" | "drop-request" | "drop-reply" | "hold-request" | "hold-reply";
  /** The request has come (for `drop-reply` and `hold-reply`: its reply has). */
  readonly happened: (request: ProxiedRequest<Operation>, link: FramedLink<Operation, Session>) => void;
}

/** Opens a proxy in front of one or several servers, each on a port of its own. */
export async function openFramedProxy<Operation extends Tag, Session>(
  protocol: Protocol<Operation, Session>,
  ...targets: readonly Target[]
): Promise<FramedProxy<Operation, Session>> {
  const gates = targets.map((target) => ({ target, server: null, port: 0, welcome: "serve", frozen: false }) as const);
  const proxy = new FramedProxy(protocol, gates);
  await proxy.listen();
  return proxy;
}

interface Gate {
  readonly target: Target;
  server: Server | null;
  port: number;
  welcome: Welcome;
  frozen: boolean;
}

//   each gate: serve ⇄ refuse ⇄ ignore, and beside that flowing ⇄ frozen; all → closed
export class FramedProxy<Operation extends Tag, Session> {
  readonly host = "127.0.0.1";
  readonly #protocol: Protocol<Operation, Session>;
  readonly #gates: readonly Gate[];
  readonly #links = new Map<FramedLink<Operation, Session>, Gate>();
  readonly #ignored = new Set<Socket>();
  readonly #rules: Rule<Operation, Session>[] = [];
  readonly #unknown: RequestMatch<Operation>[] = [];
  readonly #counts = new Map<Operation, number>();
  /** By what they are, since a session is confirmed with each connection that it comes back on. */
  readonly #sessions = new Map<string, Session>();

  constructor(protocol: Protocol<Operation, Session>, gates: readonly Gate[]) {
    this.#protocol = protocol;
    this.#gates = gates.map((gate) => ({ ...gate }));
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
  get sessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  /** Connections that are open at the moment. */
  get connections(): number {
    return this.#links.size;
  }

  /** How many such requests have come from clients. */
  count(operation: Operation): number {
    return this.#counts.get(operation) ?? 0;
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
  seen(match: RequestMatch<Operation>): Promise<ProxiedRequest<Operation>> {
    return new Promise((resolve) => this.#arm({ match, fault: "observe", happened: resolve }));
  }

  /** The next request that matches never reaches the server; its connection is cut. Resolves when that has happened. */
  dropRequest(match: RequestMatch<Operation>): Promise<ProxiedRequest<Operation>> {
    return this.#armCut(match, "drop-request");
  }

  /** The next request that matches reaches the server, its reply is swallowed, and its connection is cut. Resolves when that has happened. */
  dropReply(match: RequestMatch<Operation>): Promise<ProxiedRequest<Operation>> {
    return this.#armCut(match, "drop-reply");
  }

  /** The next request that matches is kept back, and all that follow on its connection, until it is released. */
  holdRequest(match: RequestMatch<Operation>): Held<Operation> {
    return this.#hold(match, "hold-request");
  }

  /** The next request that matches reaches the server, and its reply is kept back with all that follow. */
  holdReply(match: RequestMatch<Operation>): Held<Operation> {
    return this.#hold(match, "hold-reply");
  }

  /** From now on the servers do not know such requests, as if they were older. */
  forgetHow(match: RequestMatch<Operation>): void {
    this.#unknown.push(match);
  }

  /** Rules that still wait for their request, in words. A test that armed a fault can see that it was used. */
  get armed(): readonly string[] {
    return this.#rules.map(
      ({ fault, match }) =>
        `${fault} ${operationsOf(match)
          .map((one) => this.#protocol.nameOf(one))
          .join(" or ")}`,
    );
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
    const framer = this.#protocol.createFramer();
    const link: FramedLink<Operation, Session> = new FramedLink(socket, gate.target, {
      framer,
      takeRule: (request) => this.#takeRule(request, framer),
      isUnknown: (request) => this.#unknown.some((match) => matches(match, request, framer)),
      granted: (session) => this.#sessions.set(this.#protocol.sessionId(session), session),
      ended: () => this.#links.delete(link),
    });
    this.#links.set(link, gate);
    if (gate.frozen) link.freeze();
  }

  #takeRule(request: ProxiedRequest<Operation>, framer: Framer<Operation, Session>): Rule<Operation, Session> | null {
    this.#counts.set(request.operation, this.count(request.operation) + 1);
    const position = this.#rules.findIndex(({ match }) => matches(match, request, framer));
    return position < 0 ? null : (this.#rules.splice(position, 1)[0] as Rule<Operation, Session>);
  }

  #arm(rule: Rule<Operation, Session>): void {
    this.#rules.push(rule);
  }

  #armCut(match: RequestMatch<Operation>, fault: "drop-request" | "drop-reply"): Promise<ProxiedRequest<Operation>> {
    return new Promise((resolve, reject) => {
      const happened = (request: ProxiedRequest<Operation>, link: FramedLink<Operation, Session>) => {
        link.cut().then(() => resolve(request), reject);
      };
      this.#arm({ match, fault, happened });
    });
  }

  #hold(match: RequestMatch<Operation>, fault: "hold-request" | "hold-reply"): Held<Operation> {
    let caughtBy: FramedLink<Operation, Session> | null = null;
    let rule: Rule<Operation, Session> | null = null;
    const caught = new Promise<ProxiedRequest<Operation>>((resolve) => {
      const happened = (request: ProxiedRequest<Operation>, link: FramedLink<Operation, Session>) => {
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

/** A predicate for {@link RequestMatch}: whether the request mentions this text, such as a path. */
export function mentions(text: string): (frame: Buffer) => boolean {
  return (frame) => frame.includes(text);
}

function matches<Operation extends Tag, Session>(
  match: RequestMatch<Operation>,
  { operation, frame }: ProxiedRequest<Operation>,
  framer: Framer<Operation, Session>,
): boolean {
  if (!operationsOf(match).includes(operation)) return false;
  if (typeof match !== "object") return true;
  return (match.claim === undefined || framer.isAbout(frame, match.claim)) && (match.where?.(frame) ?? true);
}

function operationsOf<Operation extends Tag>(match: RequestMatch<Operation>): readonly Operation[] {
  if (typeof match !== "object") return [match];
  return typeof match.operation === "object" ? match.operation : [match.operation];
}

function stopListening(gate: Gate): void {
  // Not awaited: a listener counts as closed only when its connections are closed, and those must stay open.
  gate.server?.close();
  gate.server = null;
}
