// The schema that a root lives in: made where there is none, refused where it is another's, kept apart from others on the same server, and
// used by somebody who may do no more than the daily work.
import { readFileSync } from "node:fs";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import type { CoordinatorOptions } from "../../../src/locks/coordinator.js";
import { HoldlineError, UnreachableError } from "../../../src/locks/errors.js";
import type { QueueEngine } from "../../../src/queue/engine.js";
import { openPostgres } from "../../../src/stores/postgresql/index.js";
import { failOnLeaks } from "../../support/leaks.js";
import { connectPostgres } from "../../support/servers/postgresql-client.js";
import { draftFor, idsIn, only, recordFor, RELEASED, takeDurably, TEST_OPTIONS } from "../../coordinators/conformance/store.js";
import { freshSchema } from "./place.js";

failOnLeaks();

const server = inject("postgresql");
const place = server.missing === null ? server : { host: "", port: 0 };
const sql = (statements: string) => connectPostgres(place, (query) => query(statements));

/** A schema of the running test's, which goes with it. */
function ownSchema(name = freshSchema()): string {
  onTestFinished(() => sql(`DROP SCHEMA IF EXISTS "${name}" CASCADE`).then(() => undefined));
  return name;
}

/** A user of the running test's, who may do nothing yet. */
async function ownUser(): Promise<string> {
  const user = `u_${freshSchema()}`;
  await sql(`CREATE ROLE ${user} LOGIN`);
  onTestFinished(() => sql(`DROP OWNED BY ${user} CASCADE; DROP ROLE ${user}`).then(() => undefined));
  return user;
}

async function open(schema: string, user = "postgres", options: Partial<CoordinatorOptions> = {}): Promise<QueueEngine> {
  const url = `postgresql://${user}@${place.host}:${place.port}/postgres?schema=${encodeURIComponent(schema)}&sslmode=disable`;
  const engine = await openPostgres(url, { ...TEST_OPTIONS, ...options });
  onTestFinished(() => engine.close());
  return engine;
}

async function problemOf(opening: Promise<unknown>): Promise<HoldlineError> {
  const problem: unknown = await opening.then(
    () => null,
    (error: unknown) => error,
  );
  if (problem instanceof HoldlineError) return problem;
  throw new Error(`expected one of Holdline's errors, and got ${String(problem)}`);
}

describe.skipIf(server.missing !== null)("a root on PostgreSQL", () => {
  test("is made once, by as many as come at once", async () => {
    const schema = ownSchema();
    const engines = await Promise.all(Array.from({ length: 6 }, () => open(schema)));
    expect(new Set(engines.map(({ store }) => store)).size).toBe(1);
    const [first, second] = engines as [QueueEngine, QueueEngine];
    await first.join(draftFor("a"));
    expect(await idsIn(second, "a")).toHaveLength(1);
  });

  test("is apart from another one of the same database", async () => {
    const [one, other] = await Promise.all([open(ownSchema()), open(ownSchema())]);
    const { draft, settled } = await takeDurably(one, "a");
    expect(await other.queue("a")).toEqual([]);
    await takeDurably(other, "a");
    expect(await one.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await other.history(null, 10)).toEqual([]);
    expect(one.store).not.toBe(other.store);
  });

  test("may have any name, and may be a schema that is there and empty", async () => {
    const schema = ownSchema(`We're "so"\\ üÜ%$$ ${freshSchema().slice(0, 20)}`.replaceAll('"', ""));
    await sql(`CREATE SCHEMA "${schema}"`);
    const engine = await open(schema);
    const { draft, settled } = await takeDurably(engine, "a");
    expect(await engine.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    const quoted = `x"y${freshSchema()}`;
    onTestFinished(() => sql(`DROP SCHEMA "${quoted.replace('"', '""')}" CASCADE`).then(() => undefined));
    await takeDurably(await open(quoted), "a");
  });

  test("is refused where the schema is another program's", async () => {
    const schema = ownSchema();
    await sql(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.invoices (id integer)`);
    const problem = await problemOf(open(schema));
    expect(problem).toBeInstanceOf(UnreachableError);
    expect(problem.message).toBe(`the schema ${schema} of the database postgres belongs to another program`);
    expect(problem.hint).toContain("?schema=");
    await sql(`CREATE TABLE ${schema}.holdline (name text)`);
    expect((await problemOf(open(schema))).message).toContain("belongs to another program");
  });

  test("is refused where another version has made it", async () => {
    const schema = ownSchema();
    await open(schema);
    await sql(`UPDATE ${schema}.holdline SET layout = 7`);
    expect((await problemOf(open(schema))).message).toBe(`the schema ${schema} has layout 7, and this holdline knows layout 1`);
  });

  test("is said to be broken where somebody has dropped it in use", async () => {
    const schema = ownSchema();
    const engine = await open(schema);
    await sql(`DROP SCHEMA ${schema} CASCADE`);
    const problem = await problemOf(engine.queue("a"));
    expect(problem).toBeInstanceOf(UnreachableError);
    expect(problem.message).toContain(`the schema ${schema} is not as this holdline has made it`);
  });

  test("says the SQL that a user lacks to make it, and that SQL is right", async () => {
    const [schema, user] = [ownSchema(), await ownUser()];
    const problem = await problemOf(open(schema, user));
    expect(problem).toMatchObject({ code: "not-allowed", message: expect.stringContaining(`${user} may not make`) as string });
    const statement = /CREATE SCHEMA .*;/.exec(problem.hint ?? "")?.[0] as string;
    await sql(statement);
    await takeDurably(await open(schema, user), "a");
  });

  test("says the SQL for a schema that is there and is somebody else's", async () => {
    const [schema, user] = [ownSchema(), await ownUser()];
    await sql(`CREATE SCHEMA ${schema}; GRANT USAGE ON SCHEMA ${schema} TO ${user}`);
    const problem = await problemOf(open(schema, user));
    const statement = /ALTER SCHEMA .*;/.exec(problem.hint ?? "")?.[0] as string;
    await sql(statement);
    await takeDurably(await open(schema, user), "a");
  });

  test("is used by somebody who owns nothing in it", async () => {
    const [schema, user] = [ownSchema(), await ownUser()];
    const owner = await open(schema);
    const outside = await problemOf(open(schema, user));
    expect(outside).toMatchObject({ code: "not-allowed" });
    expect(outside.hint).toContain(`GRANT USAGE ON SCHEMA "${schema}"`);
    await sql(`GRANT USAGE ON SCHEMA ${schema} TO ${user}; GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${user}`);
    // Who may only look sees, and joins no line.
    const viewer = await open(schema, user);
    const taken = await takeDurably(owner, "a");
    expect(await idsIn(viewer, "a")).toEqual([taken.draft.id]);
    expect(await viewer.list()).toEqual(["a"]);
    expect((await problemOf(viewer.join(draftFor("a")))).code).toBe("not-allowed");
    const report = await viewer.examine?.();
    expect(report?.facts).toMatchObject({ kind: "postgresql", user, schema, rights: "not all that runs need" });
    expect(report?.findings).toMatchObject([
      { severity: "error", code: "not-allowed", message: expect.stringContaining("UPDATE on counter") as string },
    ]);

    await sql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${user}`);
    const worker = await open(schema, user);
    const { draft, settled } = await takeDurably(worker, ["b", "c"]);
    expect(await worker.writeDocument("nodes/x", "{}", 0)).toBe("done");
    expect(await worker.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect((await worker.examine?.())?.facts).toMatchObject({ rights: "all that runs need" });
  });

  test("is set up as the documentation has it", async () => {
    const [schema, owner, agents] = [ownSchema(), `o_${freshSchema()}`, `a_${freshSchema()}`];
    const section = /^## PostgreSQL$.*?(?=^## |(?![^]))/ms.exec(readFileSync("docs/stores.md", "utf8"))?.[0] ?? "";
    const blocks = [...section.matchAll(/^```sql\n(.*?)^```/gms)].map(([, block = ""]) =>
      block
        .replaceAll("ROLE holdline", `ROLE ${owner}`)
        .replaceAll("AUTHORIZATION holdline", `AUTHORIZATION ${owner}`)
        .replaceAll("SCHEMA holdline", `SCHEMA ${schema}`)
        .replaceAll("agents", agents),
    );
    expect(blocks).toHaveLength(2);
    onTestFinished(() => sql(`DROP OWNED BY ${owner}, ${agents} CASCADE; DROP ROLE ${owner}, ${agents}`).then(() => undefined));
    await sql(blocks[0] as string);
    expect((await (await open(schema, owner)).examine?.())?.findings).toEqual([]);
    await sql(blocks[1] as string);
    const agent = await open(schema, agents);
    expect((await agent.examine?.())?.findings).toEqual([]);
    const { draft, settled } = await takeDurably(agent, "a");
    expect(await agent.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  });

  test("is found by its pinned path, whatever tables the user has made elsewhere", async () => {
    const [schema, user, trap] = [ownSchema(), await ownUser(), ownSchema()];
    await open(schema);
    await sql(
      `CREATE SCHEMA ${trap} AUTHORIZATION ${user};
       GRANT USAGE ON SCHEMA ${schema} TO ${user}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${user};
       CREATE TABLE ${trap}.entries (x integer); CREATE TABLE ${trap}.sessions (x integer);
       ALTER ROLE ${user} SET search_path = ${trap}`,
    );
    await takeDurably(await open(schema, user), "a");
  });

  test("works where the database has another isolation for all transactions", async () => {
    for (const isolation of ["repeatable read", "serializable"]) {
      const [schema, user] = [ownSchema(), await ownUser()];
      await sql(
        `CREATE SCHEMA ${schema} AUTHORIZATION ${user}; ALTER ROLE ${user} SET default_transaction_isolation = '${isolation}'`,
      );
      const engines = await Promise.all([open(schema, user), open(schema, user), open(schema, user)]);
      // Each of these gets in the others' way.
      const joins = engines.flatMap((engine) => Array.from({ length: 5 }, () => engine.join(draftFor("a"))));
      const refs = (await Promise.all(joins)).map((joined) => Number(only(joined).ref));
      expect(new Set(refs).size, isolation).toBe(15);
      expect(await idsIn(engines[0], "a"), isolation).toHaveLength(15);
    }
  });

  test("keeps names and data at their limits, and says what is too much", async () => {
    const engine = await open(ownSchema());
    const name = `${"ü".repeat(126)}xyz`;
    expect(Buffer.byteLength(name)).toBe(255);
    for (const lock of [name, "%_\\'\"$1{}", "\u{10ffff}\u0001", "a b\tc"]) {
      const { draft, settled } = await takeDurably(engine, lock, {
        key: "k".repeat(300),
        data: { text: `\u0000 ${lock}`, depth: [[[]]] },
      });
      expect(await idsIn(engine, lock)).toEqual([draft.id]);
      expect((await engine.queue(lock))[0]?.data).toEqual({ text: `\u0000 ${lock}`, depth: [[[]]] });
      expect(await engine.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    }
    // A megabyte in one claim.
    const large = "x".repeat(1024 * 1024);
    const draft = draftFor("large", { data: large });
    const joined = await engine.join(draft);
    await engine.settle(draft, joined, recordFor(draft));
    expect((await engine.queue("large"))[0]?.data).toBe(large);
    expect(engine.traits.maxBytes).toBe(16 * 1024 * 1024);
    const many = Array.from({ length: 500 }, (_, index) => `many/${index}`);
    expect((await takeDurably(engine, many)).settled.entries).toHaveLength(500);
  });
});
