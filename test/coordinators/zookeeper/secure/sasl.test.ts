// Logging in by SASL's DIGEST-MD5, and passwords from files, against a real server.
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../../src/coordinators/zookeeper/index.js";
import type { Coordinator, CoordinatorOptions } from "../../../../src/locks/coordinator.js";
import { openFaultProxy } from "../../../support/fault-proxy.js";
import { failOnLeaks } from "../../../support/leaks.js";
import { freshRoot } from "../../../support/roots.js";
import { openTamperer } from "../../../support/tamperer.js";
import { isPending, until } from "../../../support/wait.js";
import { Opcode } from "../../../support/zookeeper-frames.js";
import { canStartServers, startZooKeeper, type ZooKeeperServer } from "../../../support/zookeeper-server.js";
import { draftFor, only, RELEASED, takeDurably, TEST_OPTIONS } from "../../conformance/store.js";
import { makeSecureFiles, paramsOf, type SecureFiles } from "./certificates.js";

failOnLeaks();

const canStart = await canStartServers();
if (!canStart) console.log("skipped: ZooKeeper with SASL, because there is no local ZooKeeper to start");

const SECRET = "correct horse";
const USERS = { bob: SECRET, mallory: "other", bøb: "päss", 日本: '語"\\,=x' };

describe.skipIf(!canStart)("a server with SASL", () => {
  let files: SecureFiles;
  let server: ZooKeeperServer;

  beforeAll(async () => {
    files = makeSecureFiles();
    const secure = { certificate: files.server, authority: files.authority, clients: "none" } as const;
    server = await startZooKeeper({ users: USERS, secure });
  });

  afterAll(async () => {
    await server.close();
    files.remove();
  });

  interface Way {
    readonly user?: string;
    readonly password?: string | null;
    readonly address?: string;
    readonly root?: string;
    readonly params?: Readonly<Record<string, string | undefined>>;
  }

  function urlOf({ user = "bob", password = SECRET, address = server.address, root = freshRoot(), params }: Way): string {
    const login = `${encodeURIComponent(user)}${password === null ? "" : `:${encodeURIComponent(password)}`}`;
    return `zookeeper://${login}@${address}${root}${paramsOf({ sasl: "digest-md5", ...params })}`;
  }

  async function open(url: string, options: Partial<CoordinatorOptions> = {}): Promise<Coordinator> {
    const coordinator = await openZooKeeper(url, { ...TEST_OPTIONS, ...options });
    onTestFinished(() => coordinator.close());
    return coordinator;
  }

  test.each(Object.entries(USERS))("lets in %s, whom all belongs to that is created", async (user, password) => {
    const coordinator = await open(urlOf({ user, password }));
    const { draft, settled } = await takeDurably(coordinator, "a");
    expect((await coordinator.examine?.())?.facts).toMatchObject({
      credentials: "sasl",
      connection: "in the clear",
      knownAs: `sasl:${user}`,
      mayBeChangedBy: "the URL's credentials",
    });
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  });

  test("keeps out another user, and those who log in otherwise", async () => {
    const root = freshRoot();
    await takeDurably(await open(urlOf({ root })), "a");
    const others = [
      urlOf({ root, user: "mallory", password: "other" }),
      urlOf({ root, params: { sasl: undefined } }),
      `zookeeper://${server.address}${root}`,
    ];
    for (const url of others) await expect((await open(url)).join(draftFor("a"))).rejects.toMatchObject({ code: "not-allowed" });
  });

  test("lets in over TLS as well", async () => {
    const root = freshRoot();
    await takeDurably(await open(urlOf({ root })), "a");
    const url = urlOf({ root, address: `127.0.0.1:${server.securePort}`, params: { ca: files.authority.cert } });
    const coordinator = await open(url.replace("zookeeper:", "zookeeper+tls:"));
    expect(await coordinator.queue("a")).toHaveLength(1);
    expect((await coordinator.examine?.())?.facts).toMatchObject({ credentials: "sasl", connection: "TLSv1.2" });
  });

  test.each<[what: string, way: Way]>([
    ["a wrong password", { password: "wrong horse" }],
    ["a user that it does not know", { user: "alice", password: "wrong horse" }],
  ])("refuses %s at once", async (_, way) => {
    const failed = await openZooKeeper(urlOf(way), TEST_OPTIONS).catch((error: unknown) => error);
    expect(failed).toMatchObject({
      code: "not-allowed",
      message: "ZooKeeper refused the user or the password of the coordinator URL in its SASL login",
    });
    expect(JSON.stringify([failed, String(failed), (failed as Error).stack])).not.toContain("horse");
  });

  test("that proves nothing is not believed", async () => {
    const tamperer = await openTamperer(server);
    const proof = Buffer.from("rspauth=");
    const url = urlOf({ address: tamperer.address });
    tamperer.breakNextReply((reply) => {
      const at = reply.indexOf(proof);
      if (at < 0) return null;
      const last = reply.length - 1;
      reply[last] = reply[last] === 0x30 ? 0x31 : 0x30;
      return { send: reply, cut: false };
    });
    await expect(openZooKeeper(url, TEST_OPTIONS)).rejects.toMatchObject({
      code: "not-allowed",
      message: "the ZooKeeper server does not prove that it knows the password of the coordinator URL",
    });
    // It was the proof.
    await open(url);
  });

  test("is told from one without", async () => {
    const { host, port } = inject("zookeeper");
    await expect(openZooKeeper(urlOf({ address: `${host}:${port}` }), TEST_OPTIONS)).rejects.toMatchObject({
      code: "configuration",
      message: "the ZooKeeper server has no SASL login",
    });
  });

  test("is asked nothing before the login is over, at the first connection and at each later one", async () => {
    const proxy = await openFaultProxy(server);
    onTestFinished(() => proxy.close());
    const held = proxy.holdReply(Opcode.sasl);
    const opening = open(urlOf({ address: proxy.address }));
    await held.caught;
    expect(await isPending(opening)).toBe(true);
    held.release();
    const coordinator = await opening;
    const joined = await coordinator.join(draftFor("a"));
    const asked = () => [Opcode.exists, Opcode.getChildren, Opcode.create, Opcode.multi].map((opcode) => proxy.count(opcode));
    const before = asked();
    const again = proxy.holdReply(Opcode.sasl);
    await proxy.cut();
    const position = coordinator.position(only(joined));
    await again.caught;
    expect([asked(), await isPending(position)]).toEqual([before, true]);
    again.release();
    expect((await position).ref).toBe(only(joined).ref);
    expect(joined.session.lost.aborted).toBe(false);
  });

  test("that is silent in the middle of the login is left for the next", async () => {
    const proxies = [await openFaultProxy(server), await openFaultProxy(server)] as const;
    for (const proxy of proxies) onTestFinished(() => proxy.close());
    const address = proxies.map((proxy) => proxy.address).join(",");
    const held = proxies[0].holdReply(Opcode.sasl);
    // The order of the servers is left to chance.
    for (let time = 0; time < 20 && proxies[0].count(Opcode.sasl) === 0; time += 1) await open(urlOf({ address }));
    await held.caught;
    expect(proxies[1].count(Opcode.sasl)).toBeGreaterThan(0);
  });

  describe("and a password in a file", () => {
    test("reads the file's first line, for SASL and for digest", async () => {
      const file = files.write("password", `${SECRET}\nwhat this is for\n`);
      for (const sasl of ["digest-md5", undefined]) {
        const root = freshRoot();
        await takeDurably(await open(urlOf({ root, password: null, params: { sasl, password_file: file } })), "a");
        const same = await open(urlOf({ root, params: { sasl } }));
        await same.withdraw((await same.join(draftFor("a"))).positions);
      }
    });

    test("reads it anew for each connection, and is patient while it is wrong", async () => {
      const proxy = await openFaultProxy(server);
      onTestFinished(() => proxy.close());
      const file = files.write("changing", `${SECRET}\n`);
      const url = urlOf({ address: proxy.address, password: null, params: { password_file: file } });
      const coordinator = await open(url, { sessionTimeoutMs: 20_000 });
      const joined = await coordinator.join(draftFor("a"));
      files.write("changing", "wrong horse\n");
      const asked = proxy.count(Opcode.sasl);
      await proxy.cut();
      const position = coordinator.position(only(joined));
      await until(() => proxy.count(Opcode.sasl) >= asked + 4, "two logins to be refused");
      files.write("changing", `${SECRET}\n`);
      expect((await position).ref).toBe(only(joined).ref);
      expect(joined.session.lost.aborted).toBe(false);
    });

    test.each<[what: string, file: () => string, words: string]>([
      ["that is not there", () => "/nowhere/password", "the password cannot be read from /nowhere/password: there is no such file"],
      ["that is empty", () => files.write("empty", ""), "begins with an empty line"],
    ])("says so of one %s", async (_, file, words) => {
      const url = urlOf({ password: null, params: { password_file: file() } });
      await expect(openZooKeeper(url, TEST_OPTIONS)).rejects.toMatchObject({
        code: "configuration",
        message: expect.stringContaining(words) as string,
      });
    });
  });

  test("a tree that anybody may change is given to the user by mending", async () => {
    const root = freshRoot();
    const stranger = await open(`zookeeper://${server.address}${root}`);
    await takeDurably(stranger, "a");
    const coordinator = await open(urlOf({ root }));
    await expect(coordinator.join(draftFor("b"))).rejects.toMatchObject({ code: "configuration" });
    expect((await coordinator.mend?.())?.length).toBeGreaterThan(4);
    await coordinator.join(draftFor("b"));
    await expect(stranger.join(draftFor("c"))).rejects.toMatchObject({ code: "not-allowed" });
  });
});
