// Where a tree can be, and what fits into it: roots whose parents are missing, servers with IPv6 addresses, and servers that take only
// short requests.
import { createServer } from "node:net";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openZooKeeper } from "../../../src/coordinators/zookeeper/index.js";
import type { Coordinator } from "../../../src/locks/coordinator.js";
import { makeCertificate, PEM_PROBLEM } from "../../support/certificates.js";
import { failOnLeaks } from "../../support/leaks.js";
import { openPlainClient, type PlainClient } from "../../support/plain-client.js";
import { freshRoot } from "../../support/roots.js";
import { canStartServers, startZooKeeper } from "../../support/zookeeper-server.js";
import { draftFor, idsIn, RELEASED, takeDurably, TEST_OPTIONS } from "../conformance/store.js";
import { makeSecureFiles, paramsOf } from "./secure/certificates.js";

failOnLeaks();

const canStart = await canStartServers();
if (!canStart) console.log("skipped: servers of a test's own, because there is no local ZooKeeper to start");

async function open(url: string): Promise<Coordinator> {
  const coordinator = await openZooKeeper(url, TEST_OPTIONS);
  onTestFinished(() => coordinator.close());
  return coordinator;
}

async function plain(credentials: string | null = null): Promise<PlainClient> {
  const client = await openPlainClient(inject("zookeeper"), credentials);
  onTestFinished(() => client.close());
  return client;
}

const ADDRESS = () => `${inject("zookeeper").host}:${inject("zookeeper").port}`;

describe("a root whose parents are missing", () => {
  test.each(["", "ops:secret@"])("is made with them, with the credentials %j", async (login) => {
    const [top, client] = [freshRoot(), await plain(login === "" ? null : "ops:secret")];
    const coordinator = await open(`zookeeper://${login}${ADDRESS()}${top}/b/c`);
    expect([await coordinator.queue("a"), await coordinator.list()]).toEqual([[], []]);
    const { draft, settled } = await takeDurably(coordinator, "a");
    expect(await coordinator.list()).toEqual(["a"]);
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect(await client.children(`${top}/b`)).toEqual(["c"]);
  });

  test("and may not be made is refused in words", async () => {
    const [top, client] = [freshRoot(), await plain()];
    await client.create(top);
    await client.restrict(top, 1);
    await expect((await open(`zookeeper://${ADDRESS()}${top}/b/c`)).join(draftFor("a"))).rejects.toMatchObject({
      code: "not-allowed",
    });
    expect(await client.children(top)).toEqual([]);
  });
});

const hasIpv6 = await new Promise<boolean>((resolve) => {
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(0, "::1", () => server.close(() => resolve(true)));
});
if (!hasIpv6) console.log("skipped: servers at ::1, because this machine has no IPv6");

test.skipIf(!canStart || !hasIpv6 || PEM_PROBLEM !== null)(
  "a server at an IPv6 address is reached, in the clear and with TLS",
  async () => {
    const files = makeSecureFiles();
    onTestFinished(() => files.remove());
    const certificate = makeCertificate(files.directory, "six", files.authority, { names: ["IP:::1"] });
    const server = await startZooKeeper({ host: "::1", secure: { certificate, authority: files.authority, clients: "none" } });
    onTestFinished(() => server.close());
    const root = freshRoot();
    const { draft, settled } = await takeDurably(await open(`zookeeper://[::1]:${server.port}${root}`), "a");
    const url = `zookeeper+tls://[::1]:${server.securePort}${root}${paramsOf({ ca: files.authority.cert })}`;
    const coordinator = await open(url);
    expect(coordinator.store).toBe(`zookeeper+tls://[::1]:${server.securePort}`);
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
  },
);

describe.skipIf(!canStart)("a server with a low jute.maxbuffer", () => {
  const LIMIT = 100_000;

  test.each(["", "ops:secret@"])(
    "hangs up on a claim that is too large, which is given up by its size and leaves nothing, with the credentials %j",
    async (login) => {
      const server = await startZooKeeper({ properties: { "jute.maxbuffer": String(LIMIT) } });
      onTestFinished(() => server.close());
      const coordinator = await open(`zookeeper://${login}${server.address}${freshRoot()}`);
      const small = await takeDurably(coordinator, "a");
      const waiting = await coordinator.join(draftFor("a"));
      await expect(coordinator.join(draftFor("b", { data: "x".repeat(2 * LIMIT) }))).rejects.toMatchObject({
        code: "configuration",
        message: expect.stringMatching(/^ZooKeeper hung up 4 times over a request of 20\d{4} bytes$/) as string,
        hint: expect.stringContaining("jute.maxbuffer") as string,
      });
      expect(await coordinator.list()).toEqual(["a"]);
      // The session went on, and with it whoever waits in it.
      expect(await idsIn(coordinator, "a")).toHaveLength(2);
      expect(waiting.session.lost.aborted).toBe(false);
      expect(await coordinator.leave(small.draft.id, small.settled.entries, RELEASED)).toBe("done");
      await coordinator.join(draftFor("b", { data: "x".repeat(LIMIT / 2) }));
    },
  );
});
