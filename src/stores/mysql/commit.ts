// A commit as one text of statements, which runs in the server from its beginning to its end: one round trip, and no lock is ever kept by
// a client that is slow, frozen or gone. All steps are judged before any is carried out, and what carries them out does nothing where one is
// refused. So nothing has to be decided on this side in the middle, and no stored procedure is needed, which few users may make.
//
// The first statement locks the only row of `root`. That puts commits in one order: a later one has a greater revision and sees all of
// the earlier ones, and no two wait for each other.
import type { Committed, Refusal, SessionRef, Step } from "../../queue/store.js";
import { placeIn, placeOf, selectPlaces } from "./rows.js";
import { bytes, bytesOrNull, IS_COMMITTED, IS_READ, NOW, number, numberIn, type Row, type Tables, textIn } from "./sql.js";

/** A commit's text, and how its results are read. */
export interface CommitText {
  readonly text: string;
  /** @param results of each statement that has one */
  read(results: readonly (readonly Row[])[]): CommitResult;
}

export interface CommitResult {
  readonly committed: Committed;
  /** For each `append` the rows of what was ahead of it. */
  readonly ahead: readonly (readonly Row[])[];
}

/** Whether all steps can be done: set once all have been judged. */
const GO = "@why IS NULL";

type StepOf<Do extends Step["do"]> = Extract<Step, { do: Do }>;

export function commitText(tables: Tables, steps: readonly Step[]): CommitText {
  const { root, sessions } = tables;
  const looks = new SessionLooks(tables);
  const judged = steps.flatMap((step, at) => judgementsOf(tables, step, at, looks));
  const archives = steps.filter((step) => step.do === "archive");
  const appends = steps.filter((step) => step.do === "append");
  let kept = 0;
  const effects = steps.flatMap((step) => effectOf(tables, step, step.do === "archive" ? ++kept : 0));
  const ended = steps.flatMap((step) => (step.do === "end" ? [bytes(step.session)] : []));
  const statements = [
    `/* holdline: ${namesOf(steps)} */ START TRANSACTION`,
    // By MAX there is always a row: without the root's own, NULL, which no column takes, and not what an earlier commit has left there.
    `SELECT MAX(revision) + 1, MAX(archived) INTO @revision, @archived FROM ${root} WHERE id = 1 FOR UPDATE`,
    ...looks.statements,
    `SELECT COALESCE(${[...judged, "NULL"].join(", ")}), ${NOW} INTO @why, @at`,
    ...changesOf(tables, steps, ended),
    ...effects,
    ...(ended.length === 0 ? [] : [`DELETE FROM ${sessions} WHERE id IN (${ended.join(", ")}) AND ${GO}`]),
    `UPDATE ${root} SET revision = @revision, archived = @archived + ${archives.length} WHERE id = 1 AND ${GO}`,
    "COMMIT",
    IS_COMMITTED,
    // Read behind the commit: a client that does not take the answer holds nobody up.
    `SELECT @why, @revision, @archived, @at${archives.map((step) => `, ${isOver(tables, step)}`).join("")}`,
    ...appends.map(({ lock }) => selectPlaces(tables, lock, " AND e.place < @revision")),
    IS_READ,
  ];
  return {
    text: statements.join("; "),
    read([[said = []] = [], ...ahead]) {
      const [why, revision, archived, at, ...over] = said;
      if (why !== null) return { committed: refusalIn(textOf(why)), ahead: [] };
      const [number, first] = [numberIn(revision), numberIn(archived) + 1];
      return {
        committed: {
          isDone: true,
          revision: number,
          at: numberIn(at),
          appended: ahead.map((rows) => ({ ref: String(number), ahead: rows.map(placeOf) })),
          kept: archives.map(({ lock }, index) => ({ lock, sequence: first + index, isOver: numberIn(over[index]) === 1 })),
        },
        ahead,
      };
    },
  };
}

/** What the sessions are, each looked at once, in rows that stay as they are until the commit is done. */
class SessionLooks {
  readonly #tables: Tables;
  readonly statements: string[] = [];
  readonly #variables = new Map<string, string>();

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** A condition: the session lives, in this epoch where one is named. */
  lives(id: string, epoch: number | null): string {
    const inEpoch = epoch === null ? "" : ` AND epoch = ${number(epoch)}`;
    const key = `${id} ${epoch}`;
    const known = this.#variables.get(key);
    if (known !== undefined) return known;
    const name = `@lives${this.#variables.size}`;
    this.#variables.set(key, name);
    this.statements.push(
      `SELECT COUNT(*) INTO ${name} FROM ${this.#tables.sessions} WHERE id = ${bytes(id)} AND ended = 0 AND expires > ${NOW}${inEpoch} LOCK IN SHARE MODE`,
    );
    return name;
  }
}

/** Expressions that are NULL where a step can be done, and else the refusal: the step's number and the word for it. */
function judgementsOf(tables: Tables, step: Step, at: number, looks: SessionLooks): readonly string[] {
  const unless = (condition: string, why: Refusal): string => `IF(${condition}, NULL, '${at} ${why}')`;
  const inEpoch = ({ id, epoch }: SessionRef): string => unless(looks.lives(id, epoch), "no-session");
  switch (step.do) {
    case "append": {
      const isThere = `EXISTS (SELECT 1 FROM ${tables.entries} WHERE queue = ${bytes(step.lock)} AND claim = ${bytes(step.claim)})`;
      return [inEpoch(step.session), unless(`NOT ${isThere}`, "exists")];
    }
    case "put":
    case "remove": {
      const asRead = step.do === "put" && step.settles ? "durable = 0" : `durable = 1 AND revision = ${number(step.revision)}`;
      const found = `SELECT ${asRead} FROM ${tables.entries} WHERE ${isEntry(step)} AND claim = ${bytes(step.claim)}`;
      return [`CASE (${found}) WHEN 1 THEN NULL WHEN 0 THEN '${at} changed' ELSE '${at} gone' END`];
    }
    case "check":
      return [inEpoch(step.session)];
    case "end":
      return step.isEnded ? [unless(`NOT ${looks.lives(step.session, null)}`, "changed")] : [];
    case "document":
    case "check-document": {
      const found = `SELECT revision FROM ${tables.documents} WHERE name = ${bytes(step.name)}`;
      return [unless(`COALESCE((${found}), 0) = ${number(step.revision)}`, "changed")];
    }
    case "own":
    case "withdraw":
    case "archive":
      return [];
  }
}

/** @param nth how many records of the archive are written up to this one */
function effectOf(tables: Tables, step: Step, nth: number): readonly string[] {
  const { entries, archive, documents } = tables;
  switch (step.do) {
    case "append": {
      const { lock, claim, session, key, slots, record } = step;
      const limit = Number.isFinite(slots) ? number(slots) : "NULL";
      return [
        `INSERT INTO ${entries} SELECT ${bytes(lock)}, @revision, ${bytes(claim)}, ${bytesOrNull(key)}, ${limit}, 0, ${bytes(session.id)}, @revision, NULL, @at, ${bytes(record)} FROM DUAL WHERE ${GO}`,
      ];
    }
    case "put": {
      const session = step.session === undefined ? "" : `, session = ${bytesOrNull(step.session)}`;
      const holder = step.isNewHolder ? ", token = @revision" : "";
      const settled = step.settles ? ", durable = 1, since = @at" : "";
      const set = `content = ${bytes(step.record)}, revision = @revision${session}${holder}${settled}`;
      return [`UPDATE ${entries} SET ${set} WHERE ${isEntry(step)} AND ${GO}`];
    }
    case "own":
      return [
        `UPDATE ${entries} SET session = ${bytes(step.session)} WHERE ${isEntry(step)} AND token = ${number(step.token)} AND ${GO}`,
      ];
    case "remove":
      return [`DELETE FROM ${entries} WHERE ${isEntry(step)} AND ${GO}`];
    case "withdraw":
      return [`DELETE FROM ${entries} WHERE ${isEntry(step)} AND durable = 0 AND ${GO}`];
    case "archive": {
      const endedAt = step.endedAt === null ? "@at" : number(Math.round(step.endedAt));
      return [
        `INSERT INTO ${archive} SELECT @archived + ${nth}, ${bytes(step.lock)}, ${endedAt}, ${bytes(step.record)} FROM DUAL WHERE ${GO}`,
      ];
    }
    case "end":
      return [`DELETE FROM ${entries} WHERE session = ${bytes(step.session)} AND durable = 0 AND ${GO}`];
    case "document":
      return step.value === null
        ? [`DELETE FROM ${documents} WHERE name = ${bytes(step.name)} AND ${GO}`]
        : [`REPLACE INTO ${documents} SELECT ${bytes(step.name)}, ${bytes(step.value)}, @revision FROM DUAL WHERE ${GO}`];
    case "check":
    case "check-document":
      return [];
  }
}

/** Writes down what the steps change, before they do: afterwards the entries of ended sessions are gone. */
function changesOf({ changes, entries }: Tables, steps: readonly Step[], ended: readonly string[]): readonly string[] {
  const locks = new Set(steps.flatMap((step) => ("lock" in step ? [bytes(step.lock)] : [])));
  const documents = new Set(steps.flatMap((step) => (step.do === "document" ? [bytes(step.name)] : [])));
  const named = [...[...locks].map((name) => `0, ${name}`), ...[...documents].map((name) => `1, ${name}`)];
  const statements =
    named.length === 0 ? [] : [named.map((one) => `SELECT @revision, ${one} FROM DUAL WHERE ${GO}`).join(" UNION ALL ")];
  if (ended.length > 0) {
    const others = locks.size === 0 ? "" : ` AND queue NOT IN (${[...locks].join(", ")})`;
    statements.push(
      `SELECT DISTINCT @revision, 0, queue FROM ${entries} WHERE session IN (${ended.join(", ")})${others} AND ${GO}`,
    );
  }
  return statements.map((rows) => `INSERT INTO ${changes} ${rows}`);
}

/** An expression: whether the archive has more records of a lock than there is room for. */
function isOver({ archive }: Tables, { lock, room }: StepOf<"archive">): string {
  return `(SELECT place FROM ${archive} WHERE queue = ${bytes(lock)} ORDER BY place DESC LIMIT 1 OFFSET ${number(room)}) IS NOT NULL`;
}

function isEntry({ lock, ref }: { readonly lock: string; readonly ref: string }): string {
  return `queue = ${bytes(lock)} AND place = ${placeIn(ref)}`;
}

/** What the steps are, for people who look at a server's list of processes or its log of slow queries. */
function namesOf(steps: readonly Step[]): string {
  const names = steps.map((step) =>
    step.do !== "put" ? step.do : step.settles ? "settle" : step.isNewHolder ? "adopt" : "update",
  );
  return [...new Set(names)].join(", ");
}

function refusalIn(text: string): Committed {
  const [step = "", why = ""] = text.split(" ");
  return { isDone: false, step: Number(step), why: why as Refusal };
}

/** A text of the server's own may come as a text or as bytes. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : textIn(value);
}
