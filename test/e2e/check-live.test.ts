// `holdline check --live`: its findings about this node's actions and real stores, and which of them decide the exit code.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient } from "../support/plain-client.js";
import { freshDirectory, freshRoot } from "../support/roots.js";
import { freePorts } from "../support/ports.js";
import { Fleet, type Node, openFleet, STORES } from "./fleet.js";

failOnLeaks();

interface Document {
  readonly findings: readonly {
    readonly about: string;
    readonly severity: string;
    readonly message: string;
    readonly hint: string | null;
  }[];
  readonly stores?: readonly {
    readonly coordinator: string;
    readonly facts: Record<string, unknown>;
    readonly mended: readonly string[] | null;
    readonly tidied: readonly string[] | null;
  }[];
}

async function checked(node: Node, ...options: readonly string[]): Promise<Document & { readonly code: number | null }> {
  const { code, stdout } = await node.run("check", "--json", ...options);
  return { code, ...(JSON.parse(stdout) as Document) };
}

test.each(STORES)(
  "on %s, a healthy node and its store have nothing to be said but who may change it, and what the store is",
  async (kind) => {
    const fleet = await openFleet(kind);
    const node = fleet.node("web-01", { restart: { command: ["true"], verify: { command: ["true"], passes: 3 } } });
    expect((await node.run("run", "restart")).code).toBe(0);
    const { code, stores, findings } = await checked(node, "--live");
    const facts = stores?.[0]?.facts ?? {};
    expect([code, facts["kind"]]).toEqual([0, kind]);
    // Every store says these, in this order, before what is its own.
    const common = ["kind", "version", "servers", "latencyMs", "durability", "clockErrorMs", "clockAheadMs", "rights"];
    const said = common.filter((name) => name in facts);
    expect(Object.keys(facts).slice(0, said.length)).toEqual(said);
    expect(said).toEqual(expect.arrayContaining(["latencyMs", "durability", "rights"]));
    expect(facts["rights"]).toBe("all that runs need");
    expect((await node.run("check", "--live")).stdout).toMatch(/^ {2}latency +\d+(\.\d+)? ms$/m);
    expect(findings.filter(({ about }) => about.startsWith("action "))).toEqual([]);
  },
);

test("commands that cannot be started, slots, patterns without a process and checks that fail are warned of", async () => {
  const fleet = await openFleet("sqlite");
  const check = { shell: `echo checked >> '${fleet.log}'; echo not healthy; exit 3`, interval: "10 ms" };
  const node = fleet.node("web-01", {
    a: { command: ["no-such-program"], slots: 3, verify: check },
    b: { mode: "serialize_process", command: ["/etc/passwd"], process: { command_string: "no such process" } },
  });
  const spoken = ({ findings }: Document): string[] =>
    findings.map(({ about, severity, message }) => `${severity} ${about}: ${message}`);
  const still = [
    'warning action a: its command cannot be started: "no-such-program" was not found in PATH',
    "warning action a: `slots: 3` lets 3 nodes run at once: a bad configuration takes down as many before a failure keeps the lock",
    'warning action b: its command cannot be started: "/etc/passwd" is not executable',
  ];
  const noProcess = "warning action b: its pattern matches no running process";
  const quiet = await checked(node);
  expect([quiet.code, spoken(quiet), quiet.stores]).toEqual([0, [...still, noProcess], undefined]);
  expect(fleet.lines()).toEqual([]);
  const live = await checked(node, "--live");
  expect([live.code, spoken(live).slice(0, 5)]).toEqual([
    0,
    [...still, "warning action a: the check failed: exit code 3 when it was tried now: not healthy", noProcess],
  ]);
  // Once, although the check failed and had time for more.
  expect(fleet.lines()).toEqual(["checked"]);
});

test("programs of hooks, gates and receivers that are not there are warned of, and none of them is run", async () => {
  const fleet = await openFleet("sqlite");
  const gone = { command: ["no-such-program"] };
  const there = { shell: `echo ran >> '${fleet.log}'` };
  const notify = [there, { on: ["failed"], ...gone }, { url: "https://chat.example.com/hooks/x" }];
  const node = fleet.node(
    "web-01",
    {
      a: { needed: gone, blockers: [{ name: "all is well", ...gone }, there], before: gone, after: gone, slots: "10%" },
      b: { ...there, needed: there, before: there, after: there },
    },
    { settings: { notify } },
  );
  const { code, findings } = await checked(node);
  expect([code, findings.map(({ about, message }) => `${about}: ${message}`)]).toEqual([
    0,
    [
      'notify 1: its command cannot be started: "no-such-program" was not found in PATH',
      'action a: the command of `needed` cannot be started: "no-such-program" was not found in PATH',
      'action a: blocker "all is well" cannot be started: "no-such-program" was not found in PATH',
      'action a: `before` cannot be started: "no-such-program" was not found in PATH',
      'action a: `after` cannot be started: "no-such-program" was not found in PATH',
      "action a: `slots: 10%` lets 10% of the group's nodes run at once: a bad configuration takes down as many before a failure keeps the lock",
    ],
  ]);
  expect(fleet.lines()).toEqual([]);
});

test("patterns of files that match nothing are warned of", async () => {
  const fleet = await openFleet("sqlite");
  const changed = [`${fleet.directory}/**`, `${fleet.directory}/*.cfg`, "gone/x"];
  const node = fleet.node("web-01", { a: { command: ["true"], process: { user: "root" }, needed: { changed } } });
  const { code, findings } = await checked(node);
  expect([code, findings.map(({ message }) => message).filter((message) => message.startsWith("no file"))]).toEqual([
    0,
    [`${fleet.directory}/*.cfg`, `${node.directory}/gone/x`].map(
      (pattern) => `no file matches "${pattern}" of \`needed.changed\` now`,
    ),
  ]);
});

test("a pattern with a user whom nobody knows here is warned of", async () => {
  const fleet = await openFleet("sqlite");
  const process = { command_string: "x", user: "no-such-user" };
  const { code, findings } = await checked(fleet.node("web-01", { a: { mode: "serialize_process", command: ["true"], process } }));
  expect([code, findings.map(({ message }) => message)]).toEqual([
    0,
    [expect.stringMatching(/^its processes cannot be looked up: .*no-such-user/)],
  ]);
});

test("a database that is not there is not made by the question", async () => {
  const directory = await freshDirectory();
  const fleet = new Fleet("sqlite", `sqlite://${directory}/holdline.db`, directory);
  const { code, findings } = await checked(fleet.node("web-01", {}), "--live");
  expect([code, findings]).toMatchObject([
    0,
    [{ severity: "warning", message: `there is no database ${directory}/holdline.db yet: the first run makes it` }],
  ]);
  expect(existsSync(join(directory, "holdline.db"))).toBe(false);
});

test("a store that does not answer is an error, exit code 69, and the rest is shown all the same", async () => {
  const [port] = await freePorts(1);
  const directory = await freshDirectory();
  const fleet = new Fleet("zookeeper", `zookeeper://ops:s3cret@127.0.0.1:${port}/x`, directory);
  const node = fleet.node("web-01", { a: { command: ["no-such-program"] } }, { settings: { connect_timeout: "300 ms" } });
  const { code, findings } = await checked(node, "--live");
  expect([code, findings.map(({ severity }) => severity)]).toEqual([69, ["warning", "error"]]);
  expect(JSON.stringify(findings)).not.toContain("s3cret");
});

test("a tree that everybody may change is an error, 78, until --mend has given it to the credentials", async () => {
  const { host, port } = inject("zookeeper");
  const [root, directory] = [freshRoot(), await freshDirectory()];
  const fleet = new Fleet("zookeeper", `zookeeper://${host}:${port}${root}`, directory);
  const actions = { restart: { command: ["true"] } };
  expect((await fleet.node("web-01", actions).run("run", "restart")).code).toBe(0);
  const credentials = { coordinator: `zookeeper://ops:s3cret@${host}:${port}${root}` };
  const node = fleet.node("web-02", actions, credentials);
  const refused = await node.run("run", "restart");
  expect([refused.code, refused.stderr]).toEqual([78, expect.stringContaining("holdline check --live --mend")]);
  const before = await checked(node, "--live");
  expect([before.code, before.findings]).toMatchObject([
    78,
    [{ severity: "error", hint: expect.stringContaining("--mend") as string }],
  ]);
  const without = await fleet.node("web-01", actions).run("check", "--live", "--mend");
  expect([without.code, without.stdout]).toEqual([
    78,
    expect.stringContaining("has no credentials that the tree could be given to"),
  ]);
  const mended = await checked(node, "--live", "--mend");
  expect([mended.code, mended.findings, mended.stores?.[0]?.mended]).toEqual([
    0,
    [],
    expect.arrayContaining([root, `${root}/locks/restart`, `${root}/documents`, `${root}/documents/nodes%2Fweb-01`]),
  ]);
  const again = await node.run("check", "--live", "--mend");
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("nothing to mend")]);
  expect(again.stdout + again.stderr).not.toContain("s3cret");
  expect((await node.run("run", "restart")).code).toBe(0);
});

test("--tidy removes what earlier versions have left empty, and says what; a store that has nothing such is left alone", async () => {
  const { host, port } = inject("zookeeper");
  const [root, directory] = [freshRoot(), await freshDirectory()];
  const fleet = new Fleet("zookeeper", `zookeeper://${host}:${port}${root}`, directory);
  const node = fleet.node("web-01", {});
  const client = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => client.close());
  const held = await node.run("acquire", "ci/held");
  expect(held.code).toBe(0);
  await client.create(`${root}/locks/ci/commit-1`);
  const first = await checked(node, "--live", "--tidy");
  expect([first.code, first.stores?.[0]?.tidied]).toEqual([0, [`${root}/locks/ci/commit-1`]]);
  expect((await node.run("locks", "ci/held")).code).toBe(0);
  await client.create(`${root}/locks/ci/commit-2`);
  const spoken = await node.run("check", "--live", "--tidy");
  expect([spoken.code, spoken.stdout]).toEqual([0, expect.stringContaining(`removed: ${root}/locks/ci/commit-2`)]);
  expect((await node.run("check", "--live", "--tidy")).stdout).toContain("nothing to tidy away");
  const sqlite = (await openFleet("sqlite")).node("web-01", { restart: { command: ["true"] } });
  expect((await sqlite.run("run", "restart")).code).toBe(0);
  const other = await checked(sqlite, "--live", "--tidy");
  expect([other.code, other.stores?.[0]?.tidied]).toEqual([0, null]);
});

test.each(["--mend", "--tidy"])("%s alone is a usage error that changes nothing", async (flag) => {
  const fleet = await openFleet("sqlite");
  const { code, stderr } = await fleet.node("web-01", {}).run("check", flag);
  expect([code, stderr]).toEqual([64, expect.stringContaining(`holdline check --live ${flag}`)]);
});
