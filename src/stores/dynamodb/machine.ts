// What each entry of the log does to the contents. Pure: all who replay the same log have the same contents, at whatever time they do.
import type { Committed, StoreChange } from "../../queue/store.js";
import { type Contents, entriesOf, lives } from "../../queue/model/contents.js";
import { trimmedArchive } from "../../queue/model/looks.js";
import { carryOut, refusalOf } from "../../queue/model/steps.js";
import type { LogEntry } from "./codec.js";

type Refused = Extract<Committed, { isDone: false }>;

/** What an entry has done. */
export interface Applied {
  readonly committed: Committed;
  readonly changes: readonly StoreChange[];
}

/** Why an entry cannot be carried out; `null` where it can. */
export function refusalOfEntry(contents: Contents, entry: LogEntry): Refused | null {
  if (!("do" in entry)) return refusalOf(contents, entry);
  const needsSession = entry.do === "raise" || entry.do === "expire";
  return needsSession && !lives(contents, entry.session) ? { isDone: false, step: 0, why: "no-session" } : null;
}

/** Carries out an entry that is the next of the log. One that is refused has its number, and no effect. */
export function applyEntry(contents: Contents, entry: LogEntry, at: number): Applied {
  const refused = refusalOfEntry(contents, entry);
  if (refused === null && !("do" in entry)) {
    const { appended, kept, changes } = carryOut(contents, entry, at);
    return { committed: { isDone: true, revision: contents.revision, at, appended, kept }, changes };
  }
  contents.revision += 1;
  if (refused !== null) return { committed: refused, changes: [] };
  const changes = "do" in entry ? applyOwn(contents, entry) : [];
  return { committed: { isDone: true, revision: contents.revision, at, appended: [], kept: [] }, changes };
}

function applyOwn(contents: Contents, entry: Extract<LogEntry, { do: string }>): readonly StoreChange[] {
  switch (entry.do) {
    case "open":
      contents.sessions.set(entry.session, { timeoutMs: entry.timeoutMs, epoch: 0, hasEnded: false });
      return [];
    case "raise": {
      const session = contents.sessions.get(entry.session);
      if (session !== undefined) session.epoch = Math.max(session.epoch, entry.epoch);
      return [];
    }
    case "expire": {
      const session = contents.sessions.get(entry.session);
      if (session !== undefined) session.hasEnded = true;
      const left = entriesOf(contents).filter((one) => one.session === entry.session);
      return left.map(({ lock }) => ({ lock }));
    }
    case "trim":
      contents.archive = trimmedArchive(contents, entry.lock, entry.keep, entry.oldest);
      return [];
  }
}
