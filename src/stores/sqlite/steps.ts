// A commit's steps in a transaction: whether each can be done, and doing it. The transaction is rolled back where one cannot.
import type { Appended, Kept, Refusal, Step } from "../../queue/store.js";
import { recordEnding } from "./archive.js";
import type { Row, Sql } from "./database.js";
import { positionOf, readPlaces, refOf, sessionColumn, type SessionSight, slotsColumn } from "./rows.js";
import { endSession, hasSession } from "./sessions.js";

/** What the steps of one commit share. */
export interface StepContext {
  /** The number of this commit. */
  readonly revision: number;
  readonly lives: SessionSight;
  /** The store's time: asked for once, by the first step that is stamped. */
  readonly now: () => number;
}

/** What the steps have done. */
export interface StepsDone {
  readonly appended: Appended[];
  readonly kept: Kept[];
  /** Entries that were taken out, and those whose owner may wait for that. */
  readonly left: Left[];
}

/** An entry that was taken out. */
export interface Left {
  readonly session: string;
  readonly hasFollowers: boolean;
}

const HAS_FOLLOWERS =
  "EXISTS (SELECT 1 FROM claims AS other WHERE other.lock = claims.lock AND other.position > claims.position) AS has_followers";
const FIND = "SELECT claim, session, durable, revision FROM claims WHERE lock = ? AND position = ?";
const WITHDRAW = `DELETE FROM claims WHERE lock = ? AND position = ? AND durable = 0 RETURNING session, ${HAS_FOLLOWERS}`;
const REMOVE = `DELETE FROM claims WHERE lock = ? AND position = ? RETURNING session, ${HAS_FOLLOWERS}`;

/** Does a step. @returns why it cannot be done, and nothing of the commit either; `null` when it is done */
export function carryOut(sql: Sql, step: Step, context: StepContext, done: StepsDone): Refusal | null {
  const { revision } = context;
  switch (step.do) {
    case "append": {
      const { lock, claim, session, key, slots, record } = step;
      if (!hasSession(sql, session.id)) return "no-session";
      const ahead = readPlaces(sql, lock, undefined, context.lives);
      if (ahead.some((place) => place.claim === claim)) return "exists";
      const position = sql.run(
        `INSERT INTO claims (lock, claim, session, durable, key, slots, revision, since_ms, fencing_token, record)
         VALUES (?, ?, ?, 0, ?, ?, ?, ?, NULL, ?)`,
        ...[lock, claim, session.id, key, slotsColumn(slots), revision, context.now(), record],
      );
      done.appended.push({ ref: refOf(position), ahead });
      return null;
    }
    case "put": {
      const row = sql.one(FIND, step.lock, positionOf(step.ref));
      if (row?.["claim"] !== step.claim) return "gone";
      const isDurable = row["durable"] === 1;
      if (step.settles ? isDurable : !isDurable || row["revision"] !== step.revision) return "changed";
      put(sql, step, row, context);
      return null;
    }
    case "own":
      sql.run(
        "UPDATE claims SET session = ? WHERE lock = ? AND position = ? AND fencing_token = ?",
        ...[step.session, step.lock, positionOf(step.ref), step.token],
      );
      return null;
    case "remove": {
      const row = sql.one(FIND, step.lock, positionOf(step.ref));
      if (row?.["claim"] !== step.claim) return "gone";
      if (row["revision"] !== step.revision || row["durable"] !== 1) return "changed";
      noteLeft(sql.one(REMOVE, step.lock, positionOf(step.ref)), done);
      return null;
    }
    case "withdraw":
      noteLeft(sql.one(WITHDRAW, step.lock, positionOf(step.ref)), done);
      return null;
    case "archive":
      done.kept.push(recordEnding(sql, step, step.endedAt ?? context.now()));
      return null;
    case "check":
      return hasSession(sql, step.session.id) ? null : "no-session";
    case "end":
      if (step.isEnded && context.lives(step.session)) return "changed";
      endSession(sql, step.session);
      done.left.push({ session: step.session, hasFollowers: true });
      return null;
    case "document": {
      if (revisionOfDocument(sql, step.name) !== step.revision) return "changed";
      if (step.value === null) sql.run("DELETE FROM documents WHERE name = ?", step.name);
      else sql.run("INSERT OR REPLACE INTO documents (name, value, revision) VALUES (?, ?, ?)", step.name, step.value, revision);
      return null;
    }
    case "check-document":
      return revisionOfDocument(sql, step.name) === step.revision ? null : "changed";
  }
}

function put(sql: Sql, step: Extract<Step, { do: "put" }>, row: Row, { revision, now }: StepContext): void {
  const session = step.session === undefined ? (row["session"] as string) : sessionColumn(step.session);
  const position = positionOf(step.ref);
  if (step.settles) {
    sql.run(
      "UPDATE claims SET durable = 1, revision = ?, since_ms = ?, fencing_token = ?, session = ?, record = ? WHERE position = ?",
      ...[revision, now(), revision, session, step.record, position],
    );
  } else if (step.isNewHolder) {
    sql.run(
      "UPDATE claims SET revision = ?, fencing_token = ?, session = ?, record = ? WHERE position = ?",
      ...[revision, revision, session, step.record, position],
    );
  } else {
    sql.run("UPDATE claims SET revision = ?, session = ?, record = ? WHERE position = ?", revision, session, step.record, position);
  }
}

function noteLeft(row: Row | null, done: StepsDone): void {
  if (row !== null) done.left.push({ session: row["session"] as string, hasFollowers: row["has_followers"] === 1 });
}

function revisionOfDocument(sql: Sql, name: string): number {
  return (sql.one("SELECT revision FROM documents WHERE name = ?", name)?.["revision"] as number | undefined) ?? 0;
}
