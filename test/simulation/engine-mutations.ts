// Small changes of the queue engine: mistakes in its arithmetic of sessions, in what it makes of lost replies and in what it writes, which
// the simulation must notice. Those of the store below are store-mutations.ts's.
//
// Some mistakes break no promise of a simulated fleet, because something else stands behind them. Tests in test/queue see those:
// - A turn begins in a session that was confirmed long ago: what began is ended in time all the same (liveness.test.ts).
// - A claim that has ended counts as in hand: a session is opened that nobody needs (liveness.test.ts).
// - A waiter misses what changes while it looks, or does not look by itself: the line looks at its holders from time to time
//   (lines.test.ts).
// - A look that is on its way already is taken for a new one: simulated processes wait for one thing at a time (lines.test.ts).
import type { Mutation } from "./mutations.js";

const JOINING: readonly Mutation[] = [
  {
    name: "in the engine: a join whose reply was lost is taken for one that has happened",
    in: "Joining.#findJoined",
    find: "if (!places.every((entry) => entry !== undefined)) return null;",
    replacement:
      'if (!places.every((entry) => entry !== undefined)) return { session, positions: draft.locks.map((lock) => ({ lock, ref: "0", revision: 0, ahead: [] })) };',
  },
  {
    name: "in the engine: a join whose reply was lost is not looked for",
    in: "Joining.#findJoined",
    find: "if (!places.every((entry) => entry !== undefined)) return null;",
    replacement: "if (places.length >= 0) return null;\n    if (!places.every((entry) => entry !== undefined)) return null;",
  },
  {
    name: "in the engine: what a former session has left of a claim is taken for this one's",
    in: "Joining.#findJoined",
    find: "(await this.#reads.readClaim(draft.id)).filter((entry) => entry.session === session.id)",
    replacement: "await this.#reads.readClaim(draft.id)",
  },
  {
    name: "in the engine: what a former session has left of a claim stands in the way of the next one",
    in: "Joining.#removeRest",
    find: "await this.#withdraw(entries);",
    replacement: "",
  },
  {
    name: "in the engine: a join that is given up is left in line",
    in: "Joining.join",
    find: "if (session !== null && isDoubtful(error)) this.#inBackground(this.#withdrawDraft(session, draft));",
    replacement: "",
  },
  {
    name: "in the engine: a join that is given up may still happen after it was withdrawn",
    in: "Joining.#withdrawDraft",
    find: "await this.#sessions.fence(session);",
    replacement: "",
  },
  {
    name: "in the engine: a claim that cannot be withdrawn is left in a session that goes on",
    in: "Joining.withdraw",
    find: "if (home !== null) this.#sessions.giveUp(home,",
    replacement: "if (home === null) this.#sessions.giveUp(this.#sessions.latest as EngineSession,",
  },
];

const WRITING: readonly Mutation[] = [
  {
    name: "in the engine: a settle whose reply was lost is taken for one that has happened",
    in: "findSettled",
    find: "if (!entries.every((entry) => entry?.durable === true && entry.token !== null)) return null;",
    replacement: "if (entries.some((entry) => entry === null)) return null;",
  },
  {
    name: "in the engine: a settle whose reply was lost is not looked up",
    in: "findSettled",
    find: "if (!entries.every((entry) => entry?.durable === true && entry.token !== null)) return null;",
    replacement: "if (entries.length > 0) return null;",
  },
  {
    name: "in the engine: a settle that is looked up takes what others have written since for its own",
    in: "asOf",
    find: "entries.map(({ lock, ref, token }) => ({ lock, ref, revision: token ?? 0 }))",
    replacement: "entries.map(({ lock, ref, revision }) => ({ lock, ref, revision }))",
  },
  {
    name: "in the engine: what was settled before its session ended is taken for lost",
    in: "Writes.settle",
    find: "if (!(error instanceof SessionLostError)) throw error;",
    replacement: "if (error instanceof Error) throw error;",
  },
  {
    name: "in the engine: a claim is settled without a look at its session",
    in: "Writes.settle",
    find: '{ do: "check", session: ref },',
    replacement: '...(ref.epoch < 0 ? [{ do: "check", session: ref } as const] : []),',
  },
  {
    name: "in the engine: a claim on several locks is settled on the first of them",
    in: "Writes.settle",
    find: "...positions.map(",
    replacement: "...positions.slice(0, 1).map(",
  },
  {
    name: "in the engine: an adopted claim keeps its fencing token",
    in: "Writes.adopt",
    find: "settles: false, isNewHolder: true,",
    replacement: "settles: false, isNewHolder: false,",
  },
  {
    name: "in the engine: an adoption that happened in a session that was lost is taken for another's",
    in: "Writes.adopt",
    find: 'if (adopted === "changed" && tried.size > 1) adopted = (await find()) ?? adopted;',
    replacement: "",
  },
  {
    name: "in the engine: what was adopted in a session that was lost is not seen to live",
    in: "Writes.adopt",
    find: "tried.size === 1 ? session : null",
    replacement: "session",
  },
  {
    name: "in the engine: another's adoption is taken for one whose reply was lost",
    in: "findAdopted",
    find: "entry?.session != null && sessions.has(entry.session) &&",
    replacement: "entry != null && sessions.size > 0 &&",
  },
  {
    name: "in the engine: an adoption whose reply was lost, and that others have written to since, is taken for another's",
    in: "findAdopted",
    find: "(entry.token ?? 0) > (entries[index] as EntryRef).revision",
    replacement: "entry.token === entry.revision && entry.token > (entries[index] as EntryRef).revision",
  },
  {
    name: "in the engine: writes that say the same are one",
    in: "encodeWrite",
    find: '`${encodeRecord(record).slice(0, -1)},"write":"${WRITER}.${writes}"}`',
    replacement: "encodeRecord(record)",
  },
  {
    name: "in the engine: a write whose reply was lost is taken for one that has happened",
    in: "findWritten",
    find: "entry?.revision === entries[index]?.revision)) return undefined;",
    replacement: "entry?.revision === entries[index]?.revision)) return { entries, fencingToken };",
  },
  {
    name: "in the engine: another's write is taken for one whose reply was lost",
    in: "findWritten",
    find: "entry?.record === text && entry.revision > (entries[index] as EntryRef).revision",
    replacement: "(entry?.revision ?? 0) > (entries[index] as EntryRef).revision",
  },
  {
    name: "in the engine: a write whose reply was lost is taken for another's",
    in: "findWritten",
    find: 'return there.every((entry) => entry === null) ? undefined : "changed"; }',
    replacement:
      'return there.every((entry) => entry === null) ? undefined : "changed";\n    }\n    if (text !== "") return "changed";',
  },
  {
    name: "in the engine: an ending whose reply was lost is taken for one that has happened",
    in: "findLeft",
    find: "some((entry) => entry !== null)) return undefined;",
    replacement: 'some((entry) => entry !== null)) return "done";',
  },
  {
    name: "in the engine: an own ending whose reply was lost is taken for another's",
    in: "findLeft",
    find: 'if (newest.some(({ record }) => record === step.record)) return "done";',
    replacement: "void newest;",
  },
  {
    name: "in the engine: another's ending is taken for an own one whose reply was lost",
    in: "findLeft",
    find: "newest.some(({ record }) => record === step.record)",
    replacement: "newest.length > 0",
  },
  {
    name: "in the engine: a claim leaves without a record",
    in: "Writes.leave",
    find: "const records = entries.map(({ lock }, index) => this.#archiveOf(lock, known[index] as Ended, ending, false));",
    replacement: "const records: Step[] = [];",
  },
  {
    name: "in the engine: a claim's end is recorded twice",
    in: "Writes.leave",
    find: "const steps = [...removals, ...this.#fitting(writes, records), ...records];",
    replacement: "const steps = [...removals, ...this.#fitting(writes, records), ...records, ...records];",
  },
  {
    name: "in the engine: a failure that is kept is not recorded",
    in: "Writes.update",
    find: "steps.push(this.#archiveOf(lock, { ...(known[index] as Ended), record: text }, keeping, true));",
    replacement: "void this.#archiveOf(lock, { ...(known[index] as Ended), record: text }, keeping, true);",
  },
  {
    name: "in the engine: what cannot be recorded is not let go of",
    in: "Writes.#commit",
    find: 'if (committed.isDone || committed.why !== "no-room") return committed;',
    replacement: "if (committed.isDone || committed.step >= 0) return committed;",
  },
];

const SESSIONS: readonly Mutation[] = [
  {
    name: "in the engine: what was sent before a lost reply may still happen",
    in: "Sessions.commit",
    find: "await this.fence(session);",
    replacement: "",
  },
  {
    name: "in the engine: a fence does not raise the epoch",
    in: "EngineSession.nextEpoch",
    find: "this.#epoch += 1;",
    replacement: "",
  },
  {
    name: "in the engine: a session is confirmed as of when the answer comes",
    in: "Sessions.#renew",
    find: "session.confirmed(sentAt);",
    replacement: "session.confirmed(Math.max(sentAt, this.#options.timers.uptimeMs()));",
  },
  {
    name: "in the engine: a session counts from when the answer comes that it is open",
    in: "Sessions.#open",
    find: "new EngineSession(id, this.#timeoutMs, askedAt, timers)",
    replacement: "new EngineSession(id, this.#timeoutMs, Math.max(askedAt, timers.uptimeMs()), timers)",
  },
  {
    name: "in the engine: a session counts as lost after the store has ended it",
    in: "LOST_AFTER",
    find: "0.8",
    replacement: "1.2",
  },
  {
    name: "in the engine: nobody watches over a session that was confirmed",
    in: "EngineSession.#watch",
    find: "() => this.#watch()",
    replacement: "() => undefined",
  },
  {
    name: "in the engine: a session is renewed once",
    in: "Sessions.#scheduleRenewal",
    find: "if (!session.lost.aborted) this.#scheduleRenewal(session);",
    replacement: "",
  },
  {
    name: "in the engine: a former session is ended although something is held in it",
    in: "Sessions.#onLost",
    find: "if (!session.hasHeld)",
    replacement: "if (session.isRenewed || !session.hasHeld)",
  },
  {
    name: "in the engine: a session is said to be held for longer than it is",
    in: "EngineSession.heldUntil",
    find: "this.#confirmedAt + this.#timeoutMs",
    replacement: "this.#confirmedAt + this.#timeoutMs * 1.5",
  },
  {
    name: "in the engine: what was settled is not seen to live once its session is lost",
    in: "ownershipOf",
    find: 'entries.map(({ lock, ref }) => ({ do: "own", lock, ref, token: fencingToken, session: session.id }))',
    replacement:
      'entries.slice(entries.length).map(({ lock, ref }) => ({ do: "own", lock, ref, token: fencingToken, session: session.id }))',
  },
  {
    name: "in the engine: no session is opened for what is in hand until somebody asks for one",
    in: "Sessions.#reopen",
    find: "if (this.#isClosed || (this.#inHand.size === 0 && this.#formers.size === 0)) return;",
    replacement: "if (this.#inHand.size >= 0) return;",
  },
];

const READING: readonly Mutation[] = [
  {
    name: "in the engine: what an ended session has left is passed over, and not put away",
    in: "Reads.living",
    find: "await this.#putAway(new Set(ended.map(({ session }) => session as string)));",
    replacement: "",
  },
  {
    name: "in the engine: what stands in line in a session that lives counts as left by one that has ended",
    in: "isBereft",
    find: "!durable && !isSessionAlive",
    replacement: "!durable && (!isSessionAlive || !durable)",
  },
  {
    name: "in the engine: what is durable goes with its session",
    in: "isBereft",
    find: "!durable && !isSessionAlive",
    replacement: "(!durable || durable) && !isSessionAlive",
  },
  {
    name: "in the engine: whoever puts away what was ahead does not hear how late that was",
    in: "Reads.#putAway",
    find: "if (committed.isDone) this.#sessions.latest?.see(committed.revision);",
    replacement: "void committed;",
  },
  {
    name: "in the engine: whoever looks at a queue does not hear how late that was",
    in: "Reads.line",
    find: "this.#sessions.latest?.see(revision);",
    replacement: "void revision;",
  },
  {
    name: "in the engine: a failed claim counts as free",
    in: "Joining.position",
    find: "ahead: places.slice(0, own).map(aheadOf)",
    replacement: "ahead: places.slice(0, own).filter(({ durable, isSessionAlive }) => !durable || isSessionAlive).map(aheadOf)",
  },
  {
    name: "in the engine: a waiter does not see that it was taken out of the line itself",
    in: "Joining.departed",
    find: "if (own !== undefined && !there.has(own.ref)) throw await this.lossOf(session, lock, ended);",
    replacement: "",
  },
  {
    name: "in the engine: a waiter is not woken",
    in: "Line.tell",
    find: "waiter.wake();",
    replacement: "void waiter;",
  },
];

export const ENGINE_MUTATIONS: readonly Mutation[] = [...JOINING, ...WRITING, ...SESSIONS, ...READING];
