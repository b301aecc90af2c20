// The OpenAPI document that the server gives: valid, complete, and true of what is answered.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import Fastify from "fastify";
import { expect, test } from "vitest";
import { openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { plantFreezes, plantNode } from "./planted.js";
import { startServer } from "./serving.js";

failOnLeaks();

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

// No claim has it.
const NOBODYS = "00000000-0000-4000-8000-000000000000";

test("the OpenAPI document is valid, names every route, and describes it", async () => {
  const { ask } = await startServer(await openFleet("sqlite"));
  const document = (await ask("GET", "/v1/openapi.json")).json as Document;
  const { valid, errors } = await new Validator().validate(document as unknown as Record<string, unknown>);
  expect(valid, JSON.stringify(errors)).toBe(true);
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method} ${path}`),
  );
  expect(described).toEqual(expect.arrayContaining([...routesInSource()]));
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  for (const operation of operations) expect(operation, JSON.stringify(operation)).toMatchObject({ summary: /./, tags: [/./] });
  const ids = operations.map(({ operationId }) => operationId);
  expect(ids).not.toContain(undefined);
  expect(new Set(ids).size).toBe(ids.length);
});

const SERVER = resolve(import.meta.dirname, "../../src/server");

/** The routes that the server's modules make, in the words of the document. */
function routesInSource(): readonly string[] {
  const files = readdirSync(SERVER, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  return files.flatMap((file) => {
    const made = readFileSync(join(SERVER, file), "utf8").matchAll(/\bapp\.(get|post|put|delete)(?:<[^(]*>)?\(\s*"([^"]+)"/g);
    return [...made].map(([, method = "", path = ""]) => `${method} ${path.replace(/:(\w+)|(\*)/g, "{$1$2}")}`);
  });
}

test("what is answered is as the document says, whatever the outcome", async () => {
  const fleet = await openFleet("sqlite");
  const { ask } = await startServer(fleet);
  const { paths } = (await ask("GET", "/v1/openapi.json")).json as Document;
  const seen = new Set<string>();

  async function check(method: string, path: string, body?: unknown, template = path.replace(/\?.*/, "")): Promise<unknown> {
    const answer = await ask(method, path, body);
    const type = (answer.headers.get("content-type") ?? "").replace(/;.*/, "");
    const { schema } = paths[template]?.[method.toLowerCase()]?.responses[String(answer.status)]?.content?.[type] ?? {};
    expect(schema, `${method} ${template}: ${answer.status} ${type}`).toBeDefined();
    const judge = Fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } } });
    judge.post("/", { schema: { body: schema } }, () => "right");
    const judged = await judge.inject({
      method: "POST",
      url: "/",
      headers: { "content-type": "application/json" },
      payload: answer.text,
    });
    expect(judged.body, `${method} ${template}: ${answer.text}`).toBe("right");
    seen.add(`${answer.status} ${method} ${template}`);
    return answer.json;
  }

  const lease = { lock: "a", reason: "why", ttl: null, data: { deep: [1, null] } };
  const { id } = (await check("POST", "/v1/leases", lease)) as { readonly id: string };
  const own = { lock: "b", id: "11111111-1111-4111-8111-111111111111", key: "k", caller: "OPS-1" };
  for (let times = 0; times < 2; times += 1) await check("POST", "/v1/leases", own);
  await check("POST", "/v1/leases", { ...own, lock: "c" });
  await check("POST", "/v1/leases", lease);
  await check("POST", "/v1/leases", {});
  await check("POST", "/v1/host-locks", { host: "dc01" });
  await check("POST", "/v1/host-locks", { host: "dc01", type: "host" });
  await check("GET", "/v1/hosts/dc01", undefined, "/v1/hosts/{host}");
  const go = fleet.signalFile();
  const agent = fleet.node("web-01", { restart: { shell: fleet.waitingShell(go.path) }, fails: { command: ["false"] } });
  await agent.runAction("fails");
  const run = agent.runAction("restart");
  await fleet.untilLine("start web-01");
  for (const path of ["/v1/locks", "/v1/actions"]) await check("GET", path);
  go.give();
  await run;
  const { actions } = (await check("GET", "/v1/actions")) as { readonly actions: readonly { readonly claim: string }[] };
  await check("POST", `/v1/claims/${actions[0]?.claim}/clear`, { lock: "fails", reason: "done" }, "/v1/claims/{id}/clear");
  for (const lock of ["a", "free"]) await check("GET", `/v1/locks/${lock}`, undefined, "/v1/locks/{lock}");
  for (const path of [`/v1/claims/${id}`, `/v1/claims/${NOBODYS}`, "/v1/claims/none"])
    await check("GET", path, undefined, "/v1/claims/{id}");
  for (const path of [`/v1/leases/${id}`, `/v1/leases/${NOBODYS}`, "/v1/leases/none"])
    await check("GET", path, undefined, "/v1/leases/{id}");
  for (const which of [id, NOBODYS, "none"]) await check("POST", `/v1/leases/${which}/renew`, {}, "/v1/leases/{id}/renew");
  for (const which of [id, NOBODYS, "none"])
    await check("POST", `/v1/leases/${which}/data`, { set: { x: 1 } }, "/v1/leases/{id}/data");
  for (let times = 0; times < 2; times += 1) await check("DELETE", `/v1/leases/${id}`, undefined, "/v1/leases/{id}");
  await check("GET", "/v1/history");
  await check("GET", "/v1/history?limit=0");
  await plantNode(fleet, { node: "web-01", actions: { restart: { pendingSince: 5, ranMs: null } } });
  await plantFreezes(fleet, [
    { locks: ["restart*"], until: null },
    { group: "web", until: Date.now() + 600_000 },
  ]);
  for (const path of ["/v1/nodes", "/v1/nodes?group=none", "/v1/nodes?what=is", "/v1/locks"]) await check("GET", path);
  for (const node of ["web-01", "web-01"]) await check("DELETE", `/v1/nodes/${node}`, undefined, "/v1/nodes/{node}");
  await plantNode(fleet, { node: "web-01", actions: { restart: {} } });
  for (const path of ["restart", "nosuch", "restart?since=soon"])
    await check("GET", `/v1/rollouts/${path}`, undefined, "/v1/rollouts/{action}");
  await check("POST", `/v1/claims/${NOBODYS}/clear`, { lock: "a", reason: "why" }, "/v1/claims/{id}/clear");
  const outcomes = ["200", "201", "400", "404", "409", "410", "423"];
  expect([...new Set([...seen].map((one) => one.slice(0, 3)))].sort()).toEqual(outcomes);
});
