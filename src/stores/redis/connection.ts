// The one connection of a store to its primary: made when something is asked, made anew after its end, and begun with each server, which
// may have lost what another had acknowledged.
import type { CoordinatorOptions } from "../../locks/coordinator.js";
import { ClosedError, HoldlineError } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";
import { replicasToWaitFor, type ServerFacts } from "./facts.js";
import type { Link } from "./link.js";
import { BEGIN, LAYOUT, type Script } from "./lua.js";
import { openPrimary } from "./primary.js";
import type { RedisUrl, ServerAddress } from "./url.js";

/** A server that the store has begun with. */
export interface Begun {
  readonly link: Link;
  readonly facts: ServerFacts;
  /** What the scripts compare; `""` for a root that is only looked at. */
  readonly home: string;
  /** How many replicas have to have what must not be lost. */
  readonly waitsFor: number;
}

/** What to do with each connection. */
export interface ConnectionHooks {
  /** Before anything else is asked on a new one. */
  opened(link: Link): Promise<void>;
  ended(): void;
}

// The server and its history have changed while this was looked at: that many times in a row, and something is wrong.
const MOST_BEGINNINGS = 3;

// Renewals wait behind a write that replicas are slow to take, and must come in time.
const PATIENCE_FOR_REPLICAS = 4;

//   none → opening → begun → (the link ends) none → … → closed
export class Connection {
  readonly #url: RedisUrl;
  readonly #options: CoordinatorOptions;
  readonly #hooks: ConnectionHooks;
  #begun: Begun | null = null;
  #opening: Promise<Begun> | null = null;
  #givingUp = new AbortController();
  #movedTo: ServerAddress | null = null;
  /** Whether this process has used the root before: then what it finds empty has been lost. */
  #hasBegun = false;
  #isClosed = false;
  /** How many writes have been sent that replicas have to have, and up to which of them that is known of all. */
  #doubts = 0;
  #settledDoubts = 0;
  readonly #isFailedOver: boolean;
  readonly #patienceForReplicasMs: number;

  constructor(url: RedisUrl, options: CoordinatorOptions, hooks: ConnectionHooks) {
    this.#url = url;
    this.#options = options;
    this.#hooks = hooks;
    this.#isFailedOver = url.sentinelName !== null;
    this.#patienceForReplicasMs = Math.ceil(options.sessionTimeoutMs / PATIENCE_FOR_REPLICAS);
  }

  /** The key of the root's own facts. */
  get metaKey(): string {
    return `{${this.#url.prefix}}:meta`;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** What the latest connection was, for those who only want to know about the server. */
  get latest(): Begun | null {
    return this.#begun;
  }

  /** The connection as it is, or a new one. */
  ready(): Promise<Begun> {
    if (this.#isClosed) return Promise.reject(new ClosedError("the store has been closed"));
    if (this.#begun !== null && !this.#begun.link.isGone) return Promise.resolve(this.#begun);
    this.#opening ??= this.#open().finally(() => (this.#opening = null));
    return this.#opening;
  }

  /** The connection with what its server says of itself now. */
  async refreshed(): Promise<Begun> {
    const { link, home } = await this.ready();
    return this.#beginWith(link, home === "");
  }

  /** Sends a command that changes nothing. */
  async ask(words: readonly string[]): Promise<unknown> {
    const begun = await this.ready();
    const reply = await begun.link.send(words);
    await this.#replicated(begun, false);
    return reply;
  }

  /**
   * Runs a script with the server that the store has begun with, and begins again where that has changed, so that the script has done
   * nothing.
   */
  async run(script: Script, args: readonly string[], { writes, isLasting }: RunOptions): Promise<Reply> {
    let begun = await this.ready();
    for (let beginnings = 0; beginnings < MOST_BEGINNINGS; beginnings += 1) {
      if (writes && begun.home === "") begun = await this.#beginWith(begun.link, false);
      const isWaitedFor = isLasting || (writes && this.#isFailedOver);
      const reply = await this.#send(begun, script, args, isWaitedFor);
      if (reply[0] === "rest") throw new ReplyLostError(restingFor(Number(reply[1]), begun.link.server));
      if (reply[0] !== "home") {
        await this.#replicated(begun, isWaitedFor);
        return reply;
      }
      begun = await this.#beginWith(begun.link, this.#options.isAsFound === true && !writes);
    }
    throw new ReplyLostError(`the server ${begun.link.server} changes places with others`);
  }

  /** Drops the connection, and one that is being made. */
  drop(why: string): void {
    this.#givingUp.abort();
    this.#givingUp = new AbortController();
    this.#begun?.link.drop(why);
  }

  close(): void {
    this.#isClosed = true;
    this.drop("the store has been closed");
  }

  /** Until the replicas have what a write does, nobody may count on it, not even after another look. */
  async #send({ link, home }: Begun, script: Script, args: readonly string[], isWaitedFor: boolean): Promise<Reply> {
    if (isWaitedFor) this.#doubts += 1;
    try {
      return (await link.run(script, this.metaKey, [home, ...args])) as Reply;
    } catch (error) {
      // It may have arrived after others that were waited for meanwhile.
      if (isWaitedFor) this.#doubts += 1;
      throw error;
    }
  }

  /**
   * Waits until enough replicas have all that the last reply on this connection shows.
   * @throws ReplyLostError where they do not have it in time
   */
  async #replicated({ link, waitsFor }: Begun, isWaitedFor: boolean): Promise<void> {
    const doubts = this.#doubts;
    if (waitsFor === 0 || !(isWaitedFor || doubts > this.#settledDoubts)) return;
    const acknowledged = Number(await link.send(["WAIT", String(waitsFor), String(this.#patienceForReplicasMs)]));
    if (acknowledged >= waitsFor) {
      this.#settledDoubts = Math.max(this.#settledDoubts, doubts);
      return;
    }
    // There may be fewer replicas by now than there were.
    await this.#beginWith(link, this.#options.isAsFound === true);
    throw new ReplyLostError(
      `${acknowledged} of ${waitsFor} replicas of the server ${link.server} have acknowledged a write in time`,
    );
  }

  async #open(): Promise<Begun> {
    const moved = this.#movedTo;
    // Where that fails the servers of the URL are asked again.
    this.#movedTo = null;
    // Several servers are tried within the time in which the engine waits for an answer.
    const patienceMs = Math.ceil(this.#options.sessionTimeoutMs / (2 * (this.#url.servers.length + 1)));
    const { link, facts } = await openPrimary(this.#url, moved, { patienceMs, signal: this.#givingUp.signal });
    link.onGone(() => {
      this.#movedTo = link.movedTo;
      this.#hooks.ended();
    });
    try {
      const begun = await this.#beginWith(link, this.#options.isAsFound === true, facts);
      await this.#hooks.opened(link);
      if (this.#isClosed) throw new ClosedError("the store has been closed");
      return begun;
    } catch (error) {
      link.drop("it could not be begun with");
      throw error;
    }
  }

  async #beginWith(link: Link, isLook: boolean, known?: ServerFacts): Promise<Begun> {
    const facts = known ?? (await link.facts());
    const args = [facts.home, String(LAYOUT), String(this.#options.sessionTimeoutMs), flag(this.#hasBegun), flag(isLook)];
    const [outcome, detail] = (await link.run(BEGIN, this.metaKey, args)) as Reply;
    const where = `the server ${link.server} has a key ${this.metaKey}`;
    const hint = "choose another ?prefix=";
    if (outcome === "foreign") throw new HoldlineError("configuration", `${where} that is another program's`, { hint });
    if (outcome === "layout") {
      throw new HoldlineError("configuration", `${where} in layout ${String(detail)}, which another version of Holdline has made`, {
        hint: `use that version, or ${hint}`,
      });
    }
    const isBegun = outcome === "begun";
    this.#hasBegun ||= isBegun;
    this.#begun = {
      link,
      facts,
      home: isBegun ? facts.home : "",
      waitsFor: replicasToWaitFor(facts, this.#isFailedOver && !this.#url.mayLose),
    };
    return this.#begun;
  }
}

export interface RunOptions {
  /** Whether it is no mere look. */
  readonly writes: boolean;
  /** Whether what it writes outlives sessions. */
  readonly isLasting: boolean;
}

/** A script's reply: what came of it, and the rest. */
export type Reply = readonly [outcome: string, ...details: readonly unknown[]];

function flag(is: boolean): string {
  return is ? "1" : "0";
}

function restingFor(ms: number, server: string): string {
  return `the server ${server} has started anew or taken another's place, and may have lost claims: for ${ms} ms more nobody's turn comes`;
}
