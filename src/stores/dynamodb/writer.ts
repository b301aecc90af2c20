// Writing to the log: one entry after the other, each judged by the contents that it will land on. Whoever is overtaken reads what has
// come, judges again, and tries behind it. Also sees to it that snapshots are taken in time.
import { randomUUID } from "node:crypto";
import type { Log as Logger } from "../../locks/log.js";
import { bestEffort, HoldlineError } from "../../locks/errors.js";
import { type Committed, ReplyLostError } from "../../queue/store.js";
import { uptimeMs } from "../../uptime.js";
import type { StoreClock } from "./clock.js";
import type { LogEntry } from "./codec.js";
import type { Log, Logged } from "./log.js";
import { refusalOfEntry } from "./machine.js";
import { Pace } from "./pace.js";
import type { Replica } from "./replica.js";
import type { Manifest, Snapshots } from "./snapshots.js";

/** How many slots a new log has: what a late reader can be behind before it needs a snapshot again. */
const SLOTS = 1_024;

// A snapshot is due after this part of the log. Whoever opens the store reads half of that on average.
const DUE_AFTER = 1 / 4;

// One commit in so many looks whether a snapshot is due: not everybody begins one at once.
const LOOKS_EVERY = 8;

export interface WriterParts {
  readonly replica: Replica;
  readonly snapshots: Snapshots;
  readonly clock: StoreClock;
  readonly log: Logger;
}

export class Writer {
  readonly #replica: Replica;
  readonly #snapshots: Snapshots;
  readonly #clock: StoreClock;
  readonly #log: Logger;
  readonly #pace = new Pace();
  /** The turn of the latest to come. */
  #turn: Promise<unknown> = Promise.resolve();
  #snapshot: Promise<void> | null = null;
  /** Called after each snapshot of this process. */
  onSnapshot: () => Promise<void> = () => Promise.resolve();

  constructor({ replica, snapshots, clock, log }: WriterParts) {
    this.#replica = replica;
    this.#snapshots = snapshots;
    this.#clock = clock;
    this.#log = log;
  }

  /** Resolves when no snapshot is being taken. */
  async finished(): Promise<void> {
    await this.#snapshot;
  }

  /** Makes what has to be there before anything can be written, where nobody has. */
  async begin(): Promise<void> {
    if (this.#replica.log === null) await this.#replica.catchUp();
    if (this.#replica.log !== null) return;
    await this.#snapshots.begin(SLOTS);
    await this.#replica.catchUp();
  }

  /** @throws ReplyLostError when it may have landed */
  commit(entry: LogEntry): Promise<Committed> {
    const committed = this.#turn.then(() => this.#commit(entry));
    this.#turn = committed.catch(() => undefined); // Told to its own caller.
    return committed;
  }

  async #commit(entry: LogEntry): Promise<Committed> {
    const replica = this.#replica;
    const id = randomUUID();
    let hasLooked = false;
    let overtaken = 0;
    const look = async (): Promise<void> => {
      await replica.catchUp();
      hasLooked = true;
    };
    await this.begin();
    replica.expect(id);
    try {
      for (;;) {
        await this.#pace.turn(overtaken);
        const refused = refusalOfEntry(replica.contents, entry);
        if (refused !== null && hasLooked) return refused;
        const hasLanded = refused === null && (await this.#send(entry, id));
        if (!hasLanded) await look();
        if (!hasLanded && refused === null) {
          overtaken += 1;
          this.#pace.noticed();
        }
        // Also where the reply to it was lost, and it was sent again by the client.
        const fate = replica.fateOf(id);
        if (fate === "unseen") throw new ReplyLostError("the log has gone on too far meanwhile");
        if (fate === null) continue;
        this.#afterwards(replica.contents.revision);
        return fate.committed;
      }
    } finally {
      replica.forget(id);
    }
  }

  /** @returns whether it has landed */
  async #send(entry: LogEntry, id: string): Promise<boolean> {
    const replica = this.#replica;
    const n = replica.contents.revision + 1;
    await this.#makeRoom(n);
    // Somebody has read on meanwhile: then it has to be judged again.
    if (replica.contents.revision !== n - 1) return false;
    const logged: Logged = { n, id, at: this.#clock.stampAfter(replica.at), entry };
    const sentAt = uptimeMs();
    if (!(await (replica.log as Log).append(logged))) return false;
    this.#pace.landed(sentAt);
    replica.landed(logged);
    return true;
  }

  /** An entry may be written over only when there is a snapshot of later than it. */
  async #makeRoom(n: number): Promise<void> {
    for (let manifest = this.#replica.manifest as Manifest; manifest.n < n - manifest.slots;) {
      await this.#snapshot;
      const latest = await this.#snapshots.manifest();
      if (latest === null) throw new HoldlineError("bug", "the manifest in the DynamoDB table has gone");
      manifest = latest.n > manifest.n ? latest : ((await this.#write(latest)) ?? latest);
      this.#replica.manifest = manifest;
    }
  }

  #afterwards(n: number): void {
    const { manifest } = this.#replica;
    if (manifest === null || n % LOOKS_EVERY !== 0 || n - manifest.n < manifest.slots * DUE_AFTER || this.#snapshot !== null)
      return;
    const take = async (): Promise<void> => {
      const latest = await this.#snapshots.manifest();
      if (latest === null) return;
      this.#replica.manifest = latest;
      if (n - latest.n >= latest.slots * DUE_AFTER) await this.#write(latest);
    };
    const what = "no snapshot was taken: a later commit sees to it";
    this.#snapshot = bestEffort(this.#log, what, take).finally(() => (this.#snapshot = null));
  }

  async #write(former: Manifest): Promise<Manifest | null> {
    const written = await this.#snapshots.write(this.#replica.contents, this.#replica.at, former);
    if (written === null) return null;
    this.#replica.manifest = written;
    await this.onSnapshot();
    return written;
  }
}
