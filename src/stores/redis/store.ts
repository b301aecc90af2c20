// The Redis and Valkey store: the operations of the seam, each one script in the server. Where a failover can lose what the primary has
// acknowledged, a write counts once enough replicas have it. Connections, scripts, replies and feeds are its neighbours'.
import { randomUUID } from "node:crypto";
import type { CoordinatorOptions, StoreTime } from "../../locks/coordinator.js";
import type { Examined } from "../../locks/store-report.js";
import { bestEffort, HoldlineError } from "../../locks/errors.js";
import type {
  Archived,
  ArchiveQuery,
  Committed,
  Line,
  QueueStore,
  SessionRef,
  Step,
  StoreChange,
  StoredDocument,
  StoredEntry,
  StoreFeed,
  StoreTraits,
} from "../../queue/store.js";
import { Connection, type Reply } from "./connection.js";
import { DURABILITY_HINT, examineServer } from "./examine.js";
import { durabilityOf } from "./facts.js";
import { Feeds } from "./feeds.js";
import { ARCHIVED, DOCUMENTS, ENDED, LINE, OPEN_SESSION, READ, READ_CLAIM, RENEW, type Script, TRIM } from "./lua.js";
import { COMMIT, COMMIT_FRUGALLY } from "./lua-commit.js";
import { archivedIn, claimEntriesIn, committedIn, documentIn, documentsIn, entriesIn, placesIn } from "./replies.js";
import { TRAITS } from "./traits.js";
import type { RedisUrl } from "./url.js";
import { codeOf } from "./words.js";

// A lost connection is made again for those who watch, not in a tight loop.
const RECONNECT_AFTER_MS = 250;

// So many records are forgotten by one script: others are served in between.
const TRIMMED_AT_ONCE = 500;

export class RedisStore implements QueueStore {
  readonly name: string;
  readonly isShared = true;
  readonly traits: StoreTraits;
  readonly #url: RedisUrl;
  readonly #options: CoordinatorOptions;
  readonly #connection: Connection;
  readonly #feeds: Feeds;
  #reconnecting: NodeJS.Timeout | null = null;

  constructor(url: RedisUrl, options: CoordinatorOptions) {
    this.name = url.name;
    this.#url = url;
    this.#options = options;
    this.#connection = new Connection(url, options, {
      opened: (link) => this.#feeds.listen(link),
      ended: () => this.#reconnectIn(0),
    });
    const connection = this.#connection;
    // It is as the server of the moment is configured.
    this.traits = {
      ...TRAITS,
      get durability() {
        return connection.latest === null ? "may-lose" : durabilityOf(connection.latest.facts, connection.latest.waitsFor);
      },
    };
    this.#feeds = new Feeds({
      channel: this.#key("changes"),
      lookEveryMs: options.sessionTimeoutMs,
      log: options.log,
      look: async () => {
        const [, ended, next] = await this.#read(ENDED, []);
        return { ended: ended as readonly string[], nextMs: next === "" ? null : Number(next) };
      },
    });
  }

  async commit(steps: readonly Step[]): Promise<Committed> {
    if (steps.some((step) => step.do === "put" && step.settles)) await this.#checkDurability();
    const grows = steps.some((step) => step.do === "append" || isBookkeeping(step));
    const text = JSON.stringify(steps);
    try {
      return committedIn(await this.#write(grows ? COMMIT : COMMIT_FRUGALLY, [text, ""], steps.some(isLasting)));
    } catch (error) {
      if (!(error instanceof HoldlineError) || codeOf(error.cause) !== "OOM") throw error;
      return this.#refusalOf(steps, text, error);
    }
  }

  async line(lock: string, refs?: readonly string[]): Promise<Line> {
    const asked = refs === undefined ? ["all"] : ["some", ...[...refs].sort((one, other) => Number(one) - Number(other))];
    const [, revision, places] = await this.#read(LINE, [lock, ...asked]);
    return { places: placesIn(places), revision: Number(revision) };
  }

  async read(lock: string, first = Number.POSITIVE_INFINITY): Promise<readonly StoredEntry[]> {
    if (first < 1) return [];
    const [, entries] = await this.#read(READ, [lock, Number.isFinite(first) ? String(first - 1) : "-1"]);
    return entriesIn(lock, entries);
  }

  async readClaim(claim: string): Promise<readonly StoredEntry[]> {
    const [, entries] = await this.#read(READ_CLAIM, [claim]);
    return claimEntriesIn(entries);
  }

  async locks(): Promise<readonly string[]> {
    return ((await this.#ask(["SMEMBERS", this.#key("locks")])) as readonly string[]).toSorted();
  }

  async endedSessions(): Promise<readonly string[]> {
    const [, ended] = await this.#read(ENDED, []);
    return ended as readonly string[];
  }

  async archived({ lock, limit, before, among }: ArchiveQuery): Promise<readonly Archived[]> {
    const args = [...oneOrAll(lock), String(limit), before === null ? "" : String(before), String(among)];
    const [, records] = await this.#read(ARCHIVED, args);
    return archivedIn(records);
  }

  async trim(lock: string | null, keep: number, oldest: number): Promise<void> {
    const bound = Number.isFinite(oldest) ? String(Math.ceil(oldest)) : "";
    for (;;) {
      const args = [...oneOrAll(lock), String(keep), bound, String(TRIMMED_AT_ONCE)];
      const [, forgotten] = await this.#write(TRIM, args, false);
      if (Number(forgotten) < TRIMMED_AT_ONCE) return;
    }
  }

  async document(name: string): Promise<StoredDocument | null> {
    const text = (await this.#ask(["HGET", this.#key("documents"), name])) as string | null;
    return text === null ? null : documentIn(name, text);
  }

  async documents(prefix: string): Promise<readonly StoredDocument[]> {
    const [, found] = await this.#read(DOCUMENTS, [prefix]);
    return documentsIn(found);
  }

  async openSession(timeoutMs: number): Promise<string> {
    const id = randomUUID();
    await this.#write(OPEN_SESSION, [id, String(Math.ceil(timeoutMs))], false);
    return id;
  }

  async renew({ id, epoch }: SessionRef): Promise<boolean> {
    const [, lives] = await this.#write(RENEW, [id, String(epoch)], false);
    return lives === "1";
  }

  async watch(lock: string | null, onChange: (change: StoreChange) => void): Promise<StoreFeed> {
    const close = this.#feeds.add(lock, onChange);
    try {
      await this.#feeds.listen((await this.#connection.ready()).link);
    } catch (error) {
      close();
      throw error;
    }
    // Messages and replies come on the same connection, in the order in which the server has done what they tell of.
    return { caughtUp: () => this.sync(), close };
  }

  async sync(): Promise<StoreTime> {
    const [seconds, micros] = (await this.#ask(["TIME"])) as readonly [string, string];
    return { ms: Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000), errorMs: 0 };
  }

  reconnect(why: string): void {
    this.#connection.drop(why);
  }

  close(): Promise<void> {
    this.#feeds.close();
    if (this.#reconnecting !== null) clearTimeout(this.#reconnecting);
    this.#connection.close();
    return Promise.resolve();
  }

  async examine(): Promise<Examined> {
    return examineServer(await this.#connection.refreshed(), this.#connection.metaKey, this.#url);
  }

  #key(name: string): string {
    return `{${this.#url.prefix}}:${name}`;
  }

  #read(script: Script, args: readonly string[]): Promise<Reply> {
    return this.#connection.run(script, args, { writes: false, isLasting: false });
  }

  #write(script: Script, args: readonly string[], isLasting: boolean): Promise<Reply> {
    return this.#connection.run(script, args, { writes: true, isLasting });
  }

  async #ask(words: readonly string[]): Promise<unknown> {
    return this.#connection.ask(words);
  }

  /** A durable claim is a promise that a server which may lose it cannot keep. */
  async #checkDurability(): Promise<void> {
    if (this.#url.mayLose || this.traits.durability !== "may-lose") return;
    const { link } = await this.#connection.refreshed();
    if (this.traits.durability !== "may-lose") return;
    throw new HoldlineError(
      "configuration",
      `the server ${link.server} may lose a claim that it has acknowledged: it is not made durable`,
      {
        hint: DURABILITY_HINT,
      },
    );
  }

  /** What has kept a commit from being carried out beside the server's full memory. */
  async #refusalOf(steps: readonly Step[], text: string, error: HoldlineError): Promise<Committed> {
    const looked = await this.#write(COMMIT_FRUGALLY, [text, "look"], false);
    if (looked[0] === "refused") return committedIn(looked);
    if (steps.some((step) => step.do === "append")) throw error;
    return { isDone: false, step: steps.findIndex(isBookkeeping), why: "no-room" };
  }

  /** For those who watch the connection comes back by itself. */
  #reconnectIn(ms: number): void {
    if (!this.#feeds.isWatched || this.#connection.isClosed || this.#reconnecting !== null) return;
    this.#reconnecting = setTimeout(() => {
      this.#reconnecting = null;
      let isBack = false;
      const connect = async (): Promise<void> => {
        await this.#connection.ready();
        isBack = true;
      };
      void bestEffort(this.#options.log, "the connection is not back yet: it is tried again", connect).then(() => {
        if (!isBack) this.#reconnectIn(RECONNECT_AFTER_MS);
      });
    }, ms);
  }
}

/** What a store without room refuses. */
function isBookkeeping(step: Step): boolean {
  return step.do === "archive" || (step.do === "document" && step.value !== null);
}

/** What must not be lost once it is acknowledged: it outlives sessions. */
function isLasting(step: Step): boolean {
  return step.do === "put" || step.do === "remove" || step.do === "document";
}

/** A lock's name, and whether one is meant at all. */
function oneOrAll(lock: string | null): readonly [name: string, isOne: string] {
  return [lock ?? "", lock === null ? "0" : "1"];
}
