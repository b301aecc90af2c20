// The connection between one client and the in-memory store: requests and replies that are on their way, in order, and
// what can happen to them. When a message goes on is its carrier's choice: a scheduler's, or at once.
import type { MemoryStore } from "./store.js";

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

/**
 * open ⇄ frozen (nothing passes, and nobody is told) | refused (what was on its way is lost) → closed
 */
type Condition = "open" | "frozen" | "refused" | "closed";

export class Link {
  readonly name: string;
  /** The last transaction that the client has heard of. */
  seen = 0;
  /** Has it always been open? */
  wasAlwaysOpen = true;
  /** Told when it opens, and when it stops being open. */
  onChange: (isOpen: boolean) => void = () => undefined;
  /** Told once when a reply is about to be sent; may break the connection. */
  onReply: ((request: Request) => void) | null = null;
  readonly #store: MemoryStore;
  readonly #carry: Carry;
  #condition: Condition = "open";
  /** First come first served, one message of each at a time on its way. */
  readonly #lines: Record<"request" | "reply", Message[]> = { request: [], reply: [] };
  #generation = 0;

  constructor(name: string, store: MemoryStore, carry: Carry) {
    this.name = name;
    this.#store = store;
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
    return this.#lines.request.length + this.#lines.reply.length > 0;
  }

  /** Sends a request: `effect` is what the store does about it. Rejects with {@link LinkLost}, or what `effect` throws. */
  send<T>(request: Request, effect: () => T): Promise<T> {
    if (this.#condition === "refused" || this.#condition === "closed") return Promise.reject(new LinkLost());
    return new Promise((resolve, reject) => {
      const arrive = (): void => {
        const before = this.#store.actor;
        this.#store.actor = this.name;
        let deliver: () => void;
        try {
          const outcome = effect();
          deliver = () => resolve(outcome);
        } catch (error) {
          deliver = () => reject(error);
        }
        this.#store.actor = before;
        this.#reply(request, deliver, () => reject(new LinkLost()));
        this.onReply?.(request);
      };
      this.#enter("request", { request, arrive, lost: () => reject(new LinkLost()), isOver: false });
    });
  }

  /** Something that the store tells by itself. It is lost with the connection, and the client looks again then. */
  tell(request: Request, deliver: () => void): void {
    // It says nothing of how far the store has come: only an answer does.
    if (this.#condition === "open" || this.#condition === "frozen") this.#reply(request, deliver, () => undefined, this.seen);
  }

  /** Breaks the connection: what is on its way is lost. A new one is made at once. */
  cut(): void {
    if (this.#condition === "closed") return;
    this.#lose();
    if (this.#condition !== "open") return;
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
    this.#become("open");
    this.#next("request");
    this.#next("reply");
  }

  /** The client is done with it, or dead. @param delivers do requests on their way still arrive? */
  close(delivers: boolean): void {
    this.#condition = "closed";
    this.#lines.reply.length = 0;
    if (!delivers) this.#lines.request.length = 0;
  }

  #become(condition: Condition): void {
    if (this.#condition === "closed") return;
    const wasOpen = this.isOpen;
    this.#condition = condition;
    if (!this.isOpen) this.wasAlwaysOpen = false;
    if (wasOpen !== this.isOpen) this.onChange(this.isOpen);
  }

  #lose(): void {
    const messages = [...this.#lines.request, ...this.#lines.reply];
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
