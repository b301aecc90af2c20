// The connection between one client and the in-memory store: requests and replies that are on their way, in order, and
// what can happen to them. When a message goes on is its carrier's choice: a scheduler's, or at once.
import type { Contents } from "./contents.js";
import { type MemoryStore, SessionExpired } from "./store.js";

/** The connection went, and with it the request or its reply: what was asked for may have happened or not. */
export class LinkLost extends Error {}

/** What a request is about: its name, and the claim where it is one's. */
export interface Request {
  readonly operation: string;
  readonly claim: string | null;
}

/** Brings a message to the other end: calls `arrive` later, or never where its owner is no more. */
export type Carry = (direction: "request" | "reply", request: Request, arrive: () => void) => void;

interface Message {
  readonly request: Request;
  arrive(): void;
  lost(): void;
  isOver: boolean;
}

/** What a server answers by itself; everything else it hands on to the leader. */
const LOCAL: ReadonlySet<string> = new Set([
  "missing folders",
  "standing",
  "watch",
  "watch all",
  "queue",
  "find",
  "list",
  "history",
  "ping",
]);

/**
 * open ⇄ frozen (nothing passes, and nobody is told) | refused (what was on its way is lost) → closed;
 * while it is open perhaps lagging: its server is cut off from the others, and answers what it can
 */
type Condition = "open" | "frozen" | "refused" | "closed";

export class Link {
  readonly name: string;
  /** The last transaction that the client has heard of. */
  seen = 0;
  /** How often each operation was carried out and answered. */
  readonly answered = new Map<string, number>();
  /** Has it always been open? */
  wasAlwaysOpen = true;
  /** Told when it opens, and when it stops being open. */
  onChange: (isOpen: boolean) => void = () => undefined;
  /** Told when its server begins to lag. */
  onLag: () => void = () => undefined;
  /** Told once when a reply is about to be sent; may break the connection. */
  onReply: ((request: Request) => void) | null = null;
  readonly #store: MemoryStore;
  readonly #carry: Carry;
  readonly #clock: () => number;
  #condition: Condition = "open";
  /** First come first served, one message of each at a time on its way. */
  readonly #lines: Record<"request" | "reply", Message[]> = { request: [], reply: [] };
  /** Requests that a lagging server has handed on to nobody, and those behind them. */
  readonly #stuck: Message[] = [];
  #generation = 0;
  /** What a lagging server knows; `null` where it does not lag. */
  #view: Contents | null = null;
  /** Has the leader answered something that was asked since the connection was last broken? */
  #isConfirmed = false;
  #confirmedAt = Number.NEGATIVE_INFINITY;

  /** @param clock what its process reckons by, in milliseconds */
  constructor(name: string, store: MemoryStore, carry: Carry, clock: () => number = () => store.now()) {
    this.name = name;
    this.#store = store;
    this.#clock = clock;
    this.#carry = carry;
  }

  get isOpen(): boolean {
    return this.#condition === "open";
  }

  get isClosed(): boolean {
    return this.#condition === "closed";
  }

  /** Has it messages on their way? */
  get isBusy(): boolean {
    return this.#lines.request.length + this.#lines.reply.length + this.#stuck.length > 0;
  }

  get isLagging(): boolean {
    return this.#view !== null;
  }

  /** How long ago the leader was last known to hear this client, in milliseconds: what a server says by itself does not count. */
  get unconfirmedMs(): number {
    return this.#isConfirmed ? 0 : this.#clock() - this.#confirmedAt;
  }

  /** Sends a request: `effect` is what the store does about it. Rejects with {@link LinkLost}, or what `effect` throws. */
  send<T>(request: Request, effect: () => T): Promise<T> {
    if (this.#condition === "refused" || this.#condition === "closed") return Promise.reject(new LinkLost());
    return new Promise((resolve, reject) => {
      const arrive = (): void => {
        const view = this.#view;
        if (view !== null && (this.#stuck.length > 0 || !LOCAL.has(request.operation))) {
          message.isOver = false;
          this.#stuck.push(message);
          return;
        }
        const before = this.#store.actor;
        this.#store.actor = this.name;
        let deliver: () => void;
        let isLiving = true;
        try {
          const outcome = view === null ? effect() : this.#store.answerFrom(view, effect);
          deliver = () => {
            this.answered.set(request.operation, (this.answered.get(request.operation) ?? 0) + 1);
            resolve(outcome);
          };
        } catch (error) {
          isLiving = !(error instanceof SessionExpired);
          deliver = () => reject(error);
        }
        this.#store.actor = before;
        const delivered = (): void => {
          if (isLiving && view === null && generation === this.#generation && this.isOpen && !this.isLagging)
            this.#isConfirmed = true;
          deliver();
        };
        this.#reply(request, delivered, () => reject(new LinkLost()), view?.transactions);
        this.onReply?.(request);
      };
      const generation = this.#generation;
      const message: Message = { request, arrive, lost: () => reject(new LinkLost()), isOver: false };
      this.#enter("request", message);
    });
  }

  /** Something that the store tells by itself. It is lost with the connection, and the client looks again then. */
  tell(request: Request, deliver: () => void): void {
    if (this.isLagging) return;
    // It says nothing of how far the store has come: only an answer does.
    if (this.#condition === "open" || this.#condition === "frozen") this.#reply(request, deliver, () => undefined, this.seen);
  }

  /** Its server is cut off from the others until the connection breaks: it answers what it knows, and hands nothing on. */
  lag(): void {
    if (!this.isOpen || this.isLagging) return;
    this.#doubt();
    this.wasAlwaysOpen = false;
    this.#view = this.#store.snapshot();
    this.onLag();
  }

  /** Breaks the connection: what is on its way is lost. A new one is made at once. */
  cut(): void {
    if (this.#condition === "closed") return;
    this.#lose();
    if (this.#condition !== "open") return;
    this.#doubt();
    this.onChange(false);
    this.onChange(true);
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
    // A server that lagged has dropped its clients meanwhile.
    if (this.isLagging) this.#lose();
    this.#become("open");
    this.#next("request");
    this.#next("reply");
  }

  /** The client is done with it, or dead. @param delivers do requests on their way still arrive? */
  close(delivers: boolean): void {
    this.#doubt();
    this.#condition = "closed";
    this.#view = null;
    this.#stuck.length = 0;
    this.#lines.reply.length = 0;
    if (!delivers) this.#lines.request.length = 0;
  }

  #become(condition: Condition): void {
    if (this.#condition === "closed") return;
    const wasOpen = this.isOpen;
    this.#condition = condition;
    if (!this.isOpen) {
      this.wasAlwaysOpen = false;
      this.#doubt();
    }
    if (wasOpen !== this.isOpen) this.onChange(this.isOpen);
  }

  /** From now on nobody knows whether the leader hears it. */
  #doubt(): void {
    if (this.#isConfirmed) this.#confirmedAt = this.#clock();
    this.#isConfirmed = false;
  }

  #lose(): void {
    const messages = [...this.#lines.request, ...this.#lines.reply, ...this.#stuck.splice(0)];
    this.#view = null;
    this.#lines.request.length = 0;
    this.#lines.reply.length = 0;
    this.#generation += 1;
    for (const message of messages) {
      message.isOver = true;
      message.lost();
    }
  }

  #reply(request: Request, deliver: () => void, lost: () => void, transactions = this.#store.transactions): void {
    if (this.#condition === "closed") return;
    const arrive = (): void => {
      this.seen = Math.max(this.seen, transactions);
      deliver();
    };
    this.#enter("reply", { request, arrive, lost, isOver: false });
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
