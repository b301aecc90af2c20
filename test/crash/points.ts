// The points at which a run can be killed, as a run that was left alone has written them down: which of them are worth a
// kill, and what has come about by each.

/** Calls that change the store: they can be killed between question and answer as well. */
const WRITES = ["join", "settle", "adopt", "update", "leave", "withdraw"].map((method) => `coordinator.${method}`);

/** Reads of this node's own files, which are not waited for: a kill there is the same as one at what comes next. */
const LOOKS = ["attempts", "runs", "actions"].map((method) => `journal.${method}`);

// A run reads the store's time while it goes on: where the answer comes among its own calls is chance.
const ANSWERS_OF_READS = /^coordinator\.sync:after#/;

/** The points that a run that was left alone has written down. A kill at the answer to a read is the same as one at what comes next. */
export function parseRecord(text: string): string[] {
  return text
    .trim()
    .split("\n")
    .filter((point) => !ANSWERS_OF_READS.test(point));
}

/** What has happened in a run by the time that it is killed; `maybe` where the kill came between question and answer. */
export interface Progress {
  readonly settled: boolean | "maybe";
  readonly began: boolean;
  readonly succeeded: boolean;
  readonly failed: boolean | "maybe";
  readonly left: boolean | "maybe";
}

/**
 * The points to kill at, between two that the record names (both included). Between one call's end and the next one's
 * beginning nothing can happen, so one of these two is enough; a sleep that something else outran is no point of its own.
 */
export function killPoints(record: readonly string[], first: string, last: string): string[] {
  const from = record.indexOf(first);
  const to = last === "" ? record.length - 1 : record.indexOf(last);
  if (from < 0 || to < 0) throw new Error(`the record has no ${from < 0 ? first : last}`);
  return record.slice(from, to + 1).flatMap((id, index) => {
    const [call = "", stage = ""] = id.split(/[:#]/);
    const following = record[from + index + 1] ?? "";
    if (stage === "after") return following.includes(":before#") ? [] : [id];
    if (LOOKS.includes(call)) return [];
    if (call === "clock.sleep" && !record.includes(id.replace(":before#", ":after#"))) return [];
    if (call === "commands.run" || WRITES.includes(call)) return [id, id.replace(":before#", ":during#")];
    return [id];
  });
}

/** @param point one of those that {@link killPoints} gives */
export function progressAt(record: readonly string[], point: string): Progress {
  const at = record.indexOf(point.replace(":during#", ":before#"));
  const has = (id: string): boolean => {
    const found = record.indexOf(id);
    return found >= 0 && (found < at || record[at] === id);
  };
  const written = (call: string, number = 1): boolean | "maybe" =>
    point === `coordinator.${call}:during#${number}` ? "maybe" : has(`coordinator.${call}:after#${number}`);
  return {
    settled: written("settle"),
    began: has("commands.run:after#1") || point === "commands.run:during#1",
    succeeded: hasSucceeded(record, has),
    failed: written("update", numberOfFailure(record)),
    left: written("leave"),
  };
}

/** Whether the journal has a note behind the last command's end, or where there was none, which says that the action has succeeded. */
function hasSucceeded(record: readonly string[], has: (id: string) => boolean): boolean {
  const lastEnd = record.findLastIndex((id) => id.startsWith("commands.run:after#"));
  const note = record.findIndex((id, index) => index > lastEnd && id.startsWith("journal.saveRun:after#"));
  return note >= 0 && has(record[note] as string);
}

/** Which update marks the claim as failed: before that the run asks for the time. Others only note how far it has come. */
function numberOfFailure(record: readonly string[]): number {
  const asked = record.findIndex((id) => id.startsWith("coordinator.sync:before#"));
  const update = record.find((id, index) => index > asked && asked >= 0 && id.startsWith("coordinator.update:before#"));
  return Number(update?.split("#")[1] ?? 0);
}
