// What each step of a commit asks of a store's contents, and does to them. Pure: whoever carries out the same steps at the same times on the
// same contents has the same.
import type { Appended, Committed, Kept, Refusal, SessionRef, Step, StoreChange } from "../store.js";
import { type Contents, type Entry, entriesOf, lives, placeOf, queueOf } from "./contents.js";

/** What the steps of a commit have done so far. */
export interface Effects {
  /** The entries that were written to or removed, as they were. */
  readonly before: Entry[];
  /** The entries that were appended or written to. */
  readonly after: Entry[];
  readonly appended: Appended[];
  readonly kept: Kept[];
  readonly changes: StoreChange[];
}

/** The first step that cannot be carried out, and why; `null` where all can. */
export function refusalOf(contents: Contents, steps: readonly Step[]): Extract<Committed, { isDone: false }> | null {
  for (const [step, one] of steps.entries()) {
    const why = refusalOfStep(contents, one);
    if (why !== null) return { isDone: false, step, why };
  }
  return null;
}

/** Carries out steps that are not refused, as one commit. */
export function carryOut(contents: Contents, steps: readonly Step[], at: number): Effects {
  contents.revision += 1;
  const done: Effects = { before: [], after: [], appended: [], kept: [], changes: [] };
  for (const step of steps) carryOutStep(contents, step, at, done);
  return done;
}

function refusalOfStep(contents: Contents, step: Step): Refusal | null {
  switch (step.do) {
    case "append":
      if (!isOf(contents, step.session)) return "no-session";
      return queueOf(contents, step.lock).some(({ claim }) => claim === step.claim) ? "exists" : null;
    case "put":
    case "remove": {
      const entry = findEntry(contents, step);
      if (entry?.claim !== step.claim) return "gone";
      if (step.do === "put" && step.settles) return entry.durable ? "changed" : null;
      return entry.durable && entry.revision === step.revision ? null : "changed";
    }
    case "check":
      return isOf(contents, step.session) ? null : "no-session";
    case "end":
      return step.isEnded && lives(contents, step.session) ? "changed" : null;
    case "document":
    case "check-document":
      return (contents.documents.get(step.name)?.revision ?? 0) === step.revision ? null : "changed";
    case "archive":
    case "own":
    case "withdraw":
      return null;
  }
}

function carryOutStep(contents: Contents, step: Step, at: number, done: Effects): void {
  const { revision } = contents;
  switch (step.do) {
    case "append": {
      const { lock, claim, session, key, slots, record } = step;
      const queue = queueOf(contents, lock);
      const entry = { lock, ref: String(revision), claim, key, slots, durable: false, session: session.id, revision };
      const whole = { ...entry, token: null, since: at, record };
      contents.locks.set(lock, [...queue, whole]);
      done.appended.push({ ref: whole.ref, ahead: queue.map((other) => placeOf(contents, other)) });
      done.after.push(whole);
      done.changes.push({ lock, isAbout: NOTHING });
      break;
    }
    case "put": {
      const entry = findEntry(contents, step) as Entry;
      done.before.push({ ...entry });
      entry.record = step.record;
      entry.revision = revision;
      if (step.isNewHolder) entry.token = revision;
      if (step.session !== undefined) entry.session = step.session;
      if (step.settles) [entry.durable, entry.since] = [true, at];
      done.after.push(entry);
      done.changes.push(changeOf(step));
      break;
    }
    case "own": {
      const entry = findEntry(contents, step);
      if (entry?.token !== step.token) break;
      entry.session = step.session;
      done.changes.push(changeOf(step));
      break;
    }
    case "remove":
    case "withdraw": {
      const entry = findEntry(contents, step);
      if (entry === undefined || (step.do === "withdraw" && entry.durable)) break;
      remove(contents, entry);
      done.before.push(entry);
      done.changes.push(changeOf(step));
      break;
    }
    case "archive": {
      const { lock, record, endedAt } = step;
      const sequence = (contents.archiveSequence += 1);
      contents.archive = [{ lock, sequence, endedAt: endedAt ?? at, record }, ...contents.archive];
      done.kept.push({
        lock,
        sequence,
        isOver: contents.archive.filter((other) => other.lock === lock).length > step.room,
      });
      done.changes.push({ lock, isAbout: NOTHING });
      break;
    }
    case "end": {
      contents.sessions.delete(step.session);
      for (const entry of entriesOf(contents).filter(({ session }) => session === step.session)) {
        if (!entry.durable) remove(contents, entry);
        if (!entry.durable) done.before.push(entry);
        done.changes.push(changeOf(entry));
      }
      break;
    }
    case "document": {
      const { name, value } = step;
      if (value === null) contents.documents.delete(name);
      else contents.documents.set(name, { name, value, revision });
      done.changes.push({ document: name });
      break;
    }
    case "check":
    case "check-document":
      break;
  }
}

const NOTHING = (): boolean => false;

/** That an entry has changed or gone. */
function changeOf({ lock, ref }: { readonly lock: string; readonly ref: string }): StoreChange {
  return { lock, isAbout: (other) => other === ref };
}

function isOf(contents: Contents, { id, epoch }: SessionRef): boolean {
  return lives(contents, id) && contents.sessions.get(id)?.epoch === epoch;
}

function findEntry(contents: Contents, { lock, ref }: { readonly lock: string; readonly ref: string }): Entry | undefined {
  return queueOf(contents, lock).find((entry) => entry.ref === ref);
}

function remove(contents: Contents, { lock, ref }: Entry): void {
  const queue = queueOf(contents, lock).filter((entry) => entry.ref !== ref);
  if (queue.length === 0) contents.locks.delete(lock);
  else contents.locks.set(lock, queue);
}
