// The connection between one client and the in-memory store: requests and replies that are on their way, in order, and what can
// happen to them. When a message goes on is its carrier's choice: a scheduler's, or at once.
import { ReplyLostError } from "../../../src/queue/store.js";
import type { Contents } from "../../../src/queue/model/contents.js";
import type { Request } from "../../../src/stores/memory/index.js";
import type { MemoryServer } from "../../../src/stores/memory/server.js";

/** Brings a message to the other end: calls `arrive` later, or never where its owner is no more. */
export type Carry = (direction: "request" | "reply", request: Request, arrive: () => void) => void;

interface Message {
  readonly request: Request;
  /** What it does at the store, although nobody hears of that any more. */
  readonly effect: () => void;
  arrive(): void;
  lost(): void;
  isOver: boolean;
}

/** What a server answers by itself; everything else it hands on to the leader. */
const LOCAL: ReadonlySet<string> = new Set([
  "line",
  "read",
  "readClaim",
  "locks",
  "endedSessions",
  "archived",
  "document",
  "documents",
  "watch",
]);

/** Writing a document is called as reading it is, but names it. */
function isLocal({ operation, claim }: Request): boolean {
  return LOCAL.has(operation) && !(operation === "document" && claim !== null);
}

/**
 * open ⇄ frozen (nothing passes, and the client is not told) | refused (what was on its way is lost) → closed;
 * while it is open perhaps lagging: its server is cut off from the others, and answers what it can
 */
type Condition = "open" | "frozen" | "refused" | "closed";

export class Link {
  /** How often each operation was carried out and answered. */
  readonly answered = new Map<string, number>();
  /** Whether it has always been open. */
  wasAlwaysOpen = true;
  /** Called when it opens again, after whatever was told meanwhile was lost. */
  onOpen: () => void = () => undefined;
  /** Called when the connection breaks. */
  onBroken: () => void = () => undefined;
  /** Called once when a reply is about to be sent; may break the connection. */
  onReply: ((request: Request) => void) | null = null;
  /** Called when a request arrives: whether it is lost there, before it has an effect. May break the connection. */
  losesRequest: (request: Request) => boolean = () => false;
  /** Called with the first of the requests that a broken connection has lost. `arrive` has the server carry them out all the same. */
  onLate: (request: Request, arrive: () => void) => void = () => undefined;
  /** Called around each effect on the store, with the client's name. */
  onEffect: <T>(client: string, effect: () => T) => T = (_client, effect) => effect();
  readonly #server: MemoryServer;
  readonly #carry: Carry;
  #condition: Condition = "open";
  /** First come first served, one message of each at a time on its way. */
  readonly #lines: Record<"request" | "reply", Message[]> = { request: [], reply: [] };
  /** What a frozen server carries out when it goes on, although nobody hears of that any more. */
  readonly #late: (readonly Message[])[] = [];
  /** Requests that a lagging server has handed on to nobody, and those behind them. */
  readonly #stuck: Message[] = [];
  #generation = 0;
  /** What a lagging server knows; `null` where it does not lag. */
  #view: Contents | null = null;

  constructor(
    readonly name: string,
    server: MemoryServer,
    carry: Carry,
  ) {
    this.#server = server;
    this.#carry = carry;
  }

  get isOpen(): boolean {
    return this.#condition === "open";
  }

  get isClosed(): boolean {
    return this.#condition === "closed";
  }

  /** Whether it has messages on their way. */
  get isBusy(): boolean {
    return this.#lines.request.length + this.#lines.reply.length + this.#stuck.length > 0;
  }

  get isLagging(): boolean {
    return this.#view !== null;
  }

  /** Sends a request: `effect` is what the store does about it. Rejects with `ReplyLostError`, or what `effect` throws. */
  readonly send = <T>(request: Request, effect: () => T): Promise<T> => {
    if (this.#condition === "refused") return Promise.reject(new ReplyLostError("the connection was refused"));
    // A process that is dead, or has said goodbye, hears nothing.
    if (this.#condition === "closed") return new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      const arrive = (): void => {
        if (this.losesRequest(request)) {
          this.onLate(request, () => this.#arriveLate([message]));
          return lost();
        }
        const view = this.#view;
        if (view !== null && (this.#stuck.length > 0 || !isLocal(request))) {
          message.isOver = false;
          this.#stuck.push(message);
          return;
        }
        let deliver: () => void;
        try {
          const run = (): T => (view === null ? effect() : this.#server.readFrom(view, effect));
          const outcome = this.onEffect(this.name, run);
          deliver = () => {
            this.answered.set(request.operation, (this.answered.get(request.operation) ?? 0) + 1);
            resolve(outcome);
          };
        } catch (error) {
          deliver = () => reject(error);
        }
        this.#reply(request, deliver, () => reject(new ReplyLostError("the connection was lost")));
        this.onReply?.(request);
      };
      const lost = (): void => reject(new ReplyLostError("the connection was lost"));
      const message: Message = { request, effect: () => void this.onEffect(this.name, effect), arrive, lost, isOver: false };
      this.#enter("request", message);
    });
  };

  /** Something that the store tells by itself. It is lost with the connection; the client is told when that opens again. */
  tell(request: Request, deliver: () => void): void {
    if (this.isLagging) return;
    if (this.#condition === "open" || this.#condition === "frozen") this.#reply(request, deliver, () => undefined);
  }

  /** Its server is cut off from the others until the connection breaks: it answers what it knows, and hands nothing on. */
  lag(): void {
    if (!this.isOpen || this.isLagging) return;
    this.wasAlwaysOpen = false;
    this.#view = this.#server.snapshot();
  }

  /** Breaks the connection: what is on its way is lost. A new one is made at once. */
  cut(): void {
    if (this.#condition === "closed") return;
    this.#lose();
    if (this.#condition === "open") this.onOpen();
  }

  refuse(): void {
    this.#become("refused");
    this.#lose();
  }

  freeze(): void {
    if (this.#condition !== "open") return;
    this.#generation += 1;
    this.#become("frozen");
  }

  /** Ends `refuse` and `freeze`. */
  serve(): void {
    if (this.#condition === "open" || this.#condition === "closed") return;
    const wasRefused = this.#condition === "refused";
    // A server that lagged has dropped its clients meanwhile.
    if (this.isLagging) this.#lose();
    this.#become("open");
    for (const requests of this.#late.splice(0)) this.#carryLate(requests);
    if (wasRefused) this.onOpen();
    this.#next("request");
    this.#next("reply");
  }

  /** The client is done with it, or dead. @param delivers whether requests on their way still arrive */
  close(delivers: boolean): void {
    this.#condition = "closed";
    this.#view = null;
    this.#stuck.length = 0;
    this.#lines.reply.length = 0;
    if (!delivers) this.#lines.request.length = 0;
  }

  #become(condition: Condition): void {
    if (this.#condition === "closed") return;
    this.#condition = condition;
    if (!this.isOpen) this.wasAlwaysOpen = false;
  }

  #lose(): void {
    this.onBroken();
    const stuck = this.#stuck.splice(0);
    const requests = [...stuck, ...this.#lines.request].filter(({ request }) => !isLocal(request));
    if (requests.length > 0) this.onLate((requests[0] as Message).request, () => this.#arriveLate(requests));
    const messages = [...this.#lines.request, ...this.#lines.reply, ...stuck];
    this.#view = null;
    this.#lines.request.length = 0;
    this.#lines.reply.length = 0;
    this.#generation += 1;
    for (const message of messages) {
      message.isOver = true;
      message.lost();
    }
  }

  #carryLate(requests: readonly Message[]): void {
    const [{ request }] = requests as [Message];
    this.#carry("request", request, () => this.#arriveLate(requests));
  }

  #arriveLate(requests: readonly Message[]): void {
    if (this.#condition === "frozen") this.#late.push(requests);
    else for (const { effect } of requests) effect();
  }

  #reply(request: Request, arrive: () => void, lost: () => void): void {
    if (this.#condition === "closed") return;
    this.#enter("reply", { request, effect: () => undefined, arrive, lost, isOver: false });
  }

  #enter(direction: "request" | "reply", message: Message): void {
    this.#lines[direction].push(message);
    if (this.#lines[direction].length === 1) this.#next(direction);
  }

  #next(direction: "request" | "reply"): void {
    const [message] = this.#lines[direction];
    if (message === undefined || this.#condition === "frozen") return;
    const generation = this.#generation;
    this.#carry(direction, message.request, () => {
      // It was lost, or is carried anew since the connection was frozen.
      if (message.isOver || generation !== this.#generation) return;
      this.#lines[direction].shift();
      message.isOver = true;
      message.arrive();
      this.#next(direction);
    });
  }
}
