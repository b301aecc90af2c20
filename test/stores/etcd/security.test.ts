// Who connects, and how it is protected: TLS with each of its failures in words, users by password and by certificate with a prefix of
// their own, set up as docs/stores.md says.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { claimIn, draftFor, takeDurably } from "../../../src/conformance/drafts.js";
import { makeCertificate, type Pem, PEM_PROBLEM } from "../../support/certificates.js";
import { type EtcdCluster, startEtcd } from "../../support/servers/etcd.js";
import { until } from "../../support/wait.js";
import { openings } from "./opened.js";

const PASSWORD = "s3cret/ä";

/** The commands of a section of the documentation, one a line. */
function documented(heading: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, "../../../docs/stores.md"), "utf8");
  const block = new RegExp(`${heading}[^]*?\`\`\`sh\\n([^]*?)\`\`\``).exec(text)?.[1];
  if (block === undefined) throw new Error(`docs/stores.md has no commands at "${heading}"`);
  return block.split("\n").filter((line) => line.startsWith("etcdctl "));
}

const missing = inject("etcd").missing ?? PEM_PROBLEM ?? (existsSync("/usr/bin/etcdctl") ? null : "etcdctl is not installed");

describe.skipIf(missing !== null)("etcd with TLS and users", () => {
  const open = openings();
  const directory = mkdtempSync(join(tmpdir(), "holdline-test-"));
  let cluster: EtcdCluster;
  let [authority, stranger, root, web, old]: Pem[] = [];
  /** The URL of a prefix with such parameters. */
  const urlAt = (prefix: string, user = "", params: Readonly<Record<string, string>> = {}): string => {
    const query = Object.entries({ ca: (authority as Pem).cert, ...params }).map(
      ([name, value]) => `${name}=${encodeURIComponent(value)}`,
    );
    return `etcd+tls://${user === "" ? "" : `${user}@`}${cluster.address}${prefix}?${query.join("&")}`;
  };
  const as = (pem: Pem | undefined) => ({ cert: (pem as Pem).cert, key: (pem as Pem).key });

  beforeAll(async () => {
    authority = makeCertificate(directory, "authority");
    stranger = makeCertificate(directory, "stranger");
    const server = makeCertificate(directory, "etcd", authority);
    root = makeCertificate(directory, "root", authority);
    web = makeCertificate(directory, "web-01", authority);
    old = makeCertificate(directory, "web-02", authority, { isExpired: true });
    cluster = await startEtcd({
      isSecure: true,
      options: [
        ...["--cert-file", server.cert, "--key-file", server.key],
        ...["--client-cert-auth", "--trusted-ca-file", authority.cert],
      ],
    });
    const env = { ...process.env, ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: `https://${cluster.address}`, PASSWORD };
    const files = { ETCDCTL_CACERT: authority.cert, ETCDCTL_CERT: root.cert, ETCDCTL_KEY: root.key };
    for (const command of documented("#### Users"))
      execFileSync("sh", ["-c", command], { env: { ...env, ...files }, stdio: "pipe" });
  });
  afterAll(async () => {
    await cluster.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test("a user by certificate takes and settles claims, in a prefix of its own and in no other", async () => {
    const engine = await open.engine(urlAt("/holdline", "", as(web)));
    const { draft, settled } = await takeDurably(engine, "by certificate");
    expect(await claimIn(engine, "by certificate")).toMatchObject({ id: draft.id, alive: true });
    const report = await engine.examine?.();
    expect(report?.facts).toMatchObject({ kind: "etcd", durability: "quorum", rights: "all that runs need", encrypted: "yes" });
    expect(await engine.leave(draft.id, settled.entries, { event: "released", by: "ann", reason: null })).toBe("done");
    const other = open.engine(urlAt("/other", "", as(web)));
    await expect(other).rejects.toMatchObject({ code: "not-allowed", hint: expect.stringContaining("grant-permission") as string });
  });

  test("a user by password does as well, and a password comes from a file too", async () => {
    const file = join(directory, "password");
    writeFileSync(file, `${PASSWORD}\n`);
    for (const url of [
      urlAt("/holdline", `holdline:${encodeURIComponent(PASSWORD)}`, as(web)),
      urlAt("/holdline", "holdline", { ...as(web), password_file: file }),
    ]) {
      const engine = await open.engine(url);
      expect(await engine.examine?.()).toMatchObject({
        facts: { user: "holdline", rights: "all that runs need" },
        findings: [expect.anything()],
      });
    }
  });

  test("a wrong password is refused at once, and never repeated", async () => {
    const opened = open.engine(urlAt("/holdline", "holdline:hunter2", as(web)));
    await expect(opened).rejects.toMatchObject({
      code: "not-allowed",
      message: "the etcd cluster does not know this user with this password",
    });
    await expect(opened).rejects.not.toThrow(/hunter2/);
  });

  test("a watch is told, and its watcher tells of changes", async () => {
    const engine = await open.engine(urlAt("/holdline", `holdline:${encodeURIComponent(PASSWORD)}`, as(web)));
    const changes: unknown[] = [];
    const watch = await engine.watch((change) => changes.push(change));
    await takeDurably(engine, "watched");
    await watch.caughtUp();
    expect(changes).not.toEqual([]);
    watch.close();
  });

  test("tokens that a member has forgotten are replaced, in the same coordinator", async () => {
    const engine = await open.engine(urlAt("/holdline", `holdline:${encodeURIComponent(PASSWORD)}`, as(web)));
    const { draft } = await takeDurably(engine, "token");
    // Whatever changes about users makes every token too old.
    const env = { ...process.env, ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: `https://${cluster.address}` };
    const files = { ETCDCTL_CACERT: (authority as Pem).cert, ETCDCTL_CERT: (root as Pem).cert, ETCDCTL_KEY: (root as Pem).key };
    execFileSync("etcdctl", ["role", "add", "later"], { env: { ...env, ...files }, stdio: "pipe" });
    expect(await claimIn(engine, "token")).toMatchObject({ id: draft.id });
    const watch = await engine.watch(() => undefined);
    watch.close();
    await cluster.members[0]?.process.restart();
    expect(await claimIn(engine, "token")).toMatchObject({ id: draft.id });
    await until(async () => (await engine.join(draftFor("after"))).positions.length === 1, "a claim after the restart");
  });

  test.each([
    [
      "of an authority that is not known",
      () => urlAt("/holdline", "", { ...as(web), ca: (stranger as Pem).cert }),
      "of an authority that is not known here",
    ],
    ["for another name", () => urlAt("/holdline", "", as(web)).replaceAll("127.0.0.1", "localhost"), "for another name"],
  ])("a server's certificate %s is refused in words", async (_, url, words) => {
    await expect(open.engine(url())).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining(words) as string,
    });
  });

  test.each([
    ["none", () => urlAt("/holdline"), /wants a client's certificate|does not take this client's certificate, or wants one/],
    ["one of another authority", () => urlAt("/holdline", "", as(stranger)), /certificate/],
    ["one that has expired", () => urlAt("/holdline", "", as(old)), /certificate/],
    [
      "one with another's key",
      () => urlAt("/holdline", "", { cert: (web as Pem).cert, key: (root as Pem).key }),
      /the client's key does not belong/,
    ],
    [
      "one that is not there",
      () => urlAt("/holdline", "", { cert: "/nowhere/me.pem", key: "/nowhere/me.key" }),
      /cannot be read from \/nowhere\/me.pem/,
    ],
  ])("a client's certificate: %s is refused in words", async (_, url, words) => {
    await expect(open.engine(url())).rejects.toThrow(words);
  });

  test("a port without TLS, or with it, is told from the other", async () => {
    const plain = open.store(
      urlAt("/holdline")
        .replace(/etcd\+tls/, "etcd")
        .replace(/\?.*/, ""),
    );
    await expect(plain).rejects.toThrow("closed at once: does it want TLS");
    const { host, port } = inject("etcd") as { host: string; port: number };
    const secure = open.store(`etcd+tls://${host}:${port}/x?ca=${(authority as Pem).cert}`);
    await expect(secure).rejects.toThrow("closed at once: does it speak TLS?");
  });
});
