// TLS and client certificates against real servers: who gets in, whom what is created belongs to, and what each failure says.
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { parseZooKeeperUrl } from "../../../../src/coordinators/zookeeper/url.js";
import { examineIdentity } from "../../../../src/coordinators/zookeeper/identity.js";
import { openZooKeeper } from "../../../../src/coordinators/zookeeper/index.js";
import { ZkSession } from "../../../../src/coordinators/zookeeper/session.js";
import type { Coordinator } from "../../../../src/locks/coordinator.js";
import { uptimeMs } from "../../../../src/uptime.js";
import { makeCertificate, PEM_PROBLEM, type Pem } from "../../../support/certificates.js";
import { failOnLeaks } from "../../../support/leaks.js";
import { openPlainClient } from "../../../support/plain-client.js";
import { freshRoot } from "../../../support/roots.js";
import { canStartServers, startZooKeeper, type ZooKeeperServer } from "../../../support/zookeeper-server.js";
import { draftFor, RELEASED, takeDurably, TEST_OPTIONS } from "../../conformance/store.js";
import { makeSecureFiles, paramsOf, type SecureFiles } from "./certificates.js";

failOnLeaks();

const cannot = PEM_PROBLEM ?? ((await canStartServers()) ? null : "there is no local ZooKeeper to start");
if (cannot !== null) console.log(`skipped: ZooKeeper with TLS, because ${cannot}`);

describe.skipIf(cannot !== null)("a server with TLS", () => {
  let files: SecureFiles;
  /** By what each does: 3.8's own default, the newer version alone, and one that asks nobody for a certificate. */
  let servers: Readonly<Record<"TLS 1.2" | "TLS 1.3" | "unasking", ZooKeeperServer>>;

  beforeAll(async () => {
    files = makeSecureFiles();
    const secure = { certificate: files.server, authority: files.authority };
    const [older, newer, unasking] = await Promise.all([
      startZooKeeper({ secure: { ...secure, clients: "need" } }),
      startZooKeeper({
        secure: { ...secure, clients: "need" },
        config: { "ssl.protocol": "TLSv1.3", "ssl.enabledProtocols": "TLSv1.3", "ssl.ciphersuites": "TLS_AES_256_GCM_SHA384" },
      }),
      startZooKeeper({ secure: { ...secure, clients: "none" } }),
    ]);
    servers = { "TLS 1.2": older, "TLS 1.3": newer, unasking };
  });

  afterAll(async () => {
    await Promise.all(Object.values(servers).map((server) => server.close()));
    files.remove();
  });

  interface Way {
    readonly server?: keyof typeof servers;
    readonly host?: string;
    readonly port?: number | null;
    readonly root?: string;
    readonly ca?: string | undefined;
    readonly client?: Pem | null;
    readonly login?: string;
  }

  function urlOf({
    server = "TLS 1.2",
    host = "127.0.0.1",
    port = servers[server].securePort,
    root = freshRoot(),
    client = files.client,
    login = "",
    ...rest
  }: Way): string {
    const ca = "ca" in rest ? rest.ca : files.authority.cert;
    return `zookeeper+tls://${login}${host}:${port}${root}${paramsOf({ ca, cert: client?.cert, key: client?.key })}`;
  }

  async function open(url: string): Promise<Coordinator> {
    const coordinator = await openZooKeeper(url, TEST_OPTIONS);
    onTestFinished(() => coordinator.close());
    return coordinator;
  }

  describe.each(["TLS 1.2", "TLS 1.3"] as const)("that speaks %s", (server) => {
    test("lets a client in whose certificate it trusts, and what that client creates belongs to the certificate's subject", async () => {
      const root = freshRoot();
      const coordinator = await open(urlOf({ server, root }));
      const { draft, settled } = await takeDurably(coordinator, "a");
      const { wire } = await sessionOf(urlOf({ server, root }));
      expect(await wire.getRights(`${root}/locks/a`)).toEqual([{ permissions: 31, scheme: "x509", id: "CN=agent" }]);
      // Another node's certificate has the same subject and another key.
      const same = makeCertificate(files.directory, "agent", files.authority, { file: `again-${server}` });
      const other = await open(urlOf({ server, root, client: same }));
      expect(await other.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    });

    test.each<[what: string, way: () => Way, code: string, words: RegExp]>([
      ["no certificate of its own", () => ({ client: null }), "not-allowed", /wants a client's certificate$/],
      [
        "one of an authority that the server does not know",
        () => ({ client: makeCertificate(files.directory, "agent", files.stranger, { file: "foreign" }) }),
        "not-allowed",
        /does not (?:take this client's certificate|know the authority of this client's certificate)$/,
      ],
      [
        "one that has expired",
        () => ({ client: makeCertificate(files.directory, "agent", files.authority, { file: "old", isExpired: true }) }),
        "not-allowed",
        /this client's certificate(?:, which)? has expired/,
      ],
      [
        "the key of another one",
        () => ({ client: { cert: files.client.cert, key: files.stranger.key } }),
        "configuration",
        /the client's key does not belong to its certificate$/,
      ],
      [
        "an authority that has not signed the server's",
        () => ({ ca: files.stranger.cert }),
        "configuration",
        /shows a certificate of an authority that is not known here$/,
      ],
      ["the system's authorities", () => ({ ca: undefined }), "configuration", /of an authority that is not known here$/],
      ["another name for the server", () => ({ host: "localhost" }), "configuration", /shows a certificate for another name$/],
      ["a file that is not there", () => ({ ca: "/nowhere/ca.pem" }), "configuration", /read from \/nowhere\/ca\.pem: there is no/],
      [
        "a file that has nothing of the kind",
        () => ({ ca: files.write("words", "no certificate\n") }),
        "configuration",
        /words should have the authorities' certificates and has nothing of the kind in PEM form$/,
      ],
    ])("tells a client with %s so, at once", async (_, way, code, words) => {
      await expect(openZooKeeper(urlOf({ server, ...way() }), TEST_OPTIONS)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(words) as string,
      });
    });
  });

  async function sessionOf(url: string): Promise<ZkSession> {
    const session = new ZkSession(parseZooKeeperUrl(url), { ...TEST_OPTIONS, clock: uptimeMs }, () => undefined);
    onTestFinished(() => session.close());
    await session.connected();
    return session;
  }

  test("whose certificate has expired is not trusted", async () => {
    const certificate = makeCertificate(files.directory, "server", files.authority, { file: "outdated", isExpired: true });
    const server = await startZooKeeper({ secure: { certificate, authority: files.authority, clients: "none" } });
    onTestFinished(() => server.close());
    await expect(openZooKeeper(urlOf({ port: server.securePort }), TEST_OPTIONS)).rejects.toMatchObject({
      code: "configuration",
      message: `the ZooKeeper server 127.0.0.1:${server.securePort} shows a certificate that has expired`,
    });
  });

  test("keeps out what belongs to another subject", async () => {
    const root = freshRoot();
    await takeDurably(await open(urlOf({ root })), "a");
    const client = makeCertificate(files.directory, "another", files.authority);
    await expect((await open(urlOf({ root, client }))).join(draftFor("a"))).rejects.toMatchObject({
      code: "not-allowed",
      message: "ZooKeeper refuses this: the znodes belong to other credentials",
      hint: expect.stringContaining("certificates of one subject") as string,
    });
  });

  test("takes a password as well, and then either opens the tree", async () => {
    const root = freshRoot();
    await takeDurably(await open(urlOf({ root, login: "ops:secret@" })), "a");
    const client = makeCertificate(files.directory, "another", files.authority);
    const other = await open(urlOf({ root, client, login: "ops:secret@" }));
    await other.withdraw((await other.join(draftFor("a"))).positions);
    const plain = await openZooKeeper(`zookeeper://ops:secret@${servers["TLS 1.2"].address}${root}`, TEST_OPTIONS);
    onTestFinished(() => plain.close());
    expect(await plain.queue("a")).toHaveLength(1);
  });

  test("is examined: what protects the connection, as whom the servers know this client, and until when", async () => {
    const coordinator = await open(urlOf({ login: "ops:secret@", server: "TLS 1.3" }));
    await takeDurably(coordinator, "a");
    const day = expect.stringMatching(/^until \d{4}-\d\d-\d\d$/) as string;
    expect(await coordinator.examine?.()).toMatchObject({
      facts: {
        credentials: "digest, x509",
        connection: "TLSv1.3",
        serverCertificate: day,
        clientCertificate: day,
        knownAs: "digest:ops, x509:CN=agent",
        mayBeChangedBy: "the URL's credentials",
      },
      findings: [],
    });
  });

  test("is examined in time: certificates that are about to expire are warned of", async () => {
    const url = urlOf({});
    const session = await sessionOf(url);
    const hours = 3_600_000;
    const at = async (ms: number) => (await examineIdentity(session.wire, parseZooKeeperUrl(url), Date.now() + ms)).findings;
    expect(await at(24 * hours)).toEqual([]);
    expect((await at(40 * hours)).map(({ severity, message }) => [severity, message.replace(/\d{4}-\d\d-\d\d/, "DAY")])).toEqual([
      ["warning", "the server's certificate is valid until DAY only"],
      ["warning", "the client's certificate is valid until DAY only"],
    ]);
  });

  test("that does not ask for certificates says so when it is examined, and nothing is created for everybody instead", async () => {
    const root = freshRoot();
    const coordinator = await open(urlOf({ server: "unasking", root }));
    expect(await coordinator.examine?.()).toMatchObject({
      facts: { knownAs: "nobody" },
      findings: [
        { severity: "error", message: expect.stringContaining("did not ask for the client's certificate") as string },
        { severity: "error", message: expect.stringContaining("does not accept the ACL of new znodes") as string },
      ],
    });
    await expect(coordinator.join(draftFor("a"))).rejects.toMatchObject({
      code: "configuration",
      message: "ZooKeeper refuses this: the server does not accept the ACL of new znodes",
    });
    const plain = await openPlainClient(servers.unasking);
    onTestFinished(() => plain.close());
    expect(await plain.exists(root)).toBe(false);
  });

  test("needs no client's certificate where it asks for none", async () => {
    const coordinator = await open(urlOf({ server: "unasking", client: null }));
    const { draft, settled } = await takeDurably(coordinator, "a");
    expect(await coordinator.leave(draft.id, settled.entries, RELEASED)).toBe("done");
    expect((await coordinator.examine?.())?.facts).toMatchObject({ credentials: "none", connection: "TLSv1.2" });
  });

  test("one of several servers that refuses a client does not keep it from the others", async () => {
    const ports = [servers["TLS 1.2"].securePort, servers.unasking.securePort];
    const url = `zookeeper+tls://${ports.map((port) => `127.0.0.1:${port}`).join(",")}${freshRoot()}`;
    for (let time = 0; time < 4; time += 1) await (await open(`${url}${paramsOf({ ca: files.authority.cert })}`)).list();
  });

  const impatient = { ...TEST_OPTIONS, connectTimeoutMs: 500 };

  test("is not taken for a plain one, nor a plain one for it", async () => {
    const { host, port } = inject("zookeeper");
    await expect(openZooKeeper(urlOf({ host, port }), impatient)).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("or it speaks no TLS at this port") as string,
    });
    const plain = `zookeeper://127.0.0.1:${servers["TLS 1.2"].securePort}`;
    await expect(openZooKeeper(plain, impatient)).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("or this port is for TLS (zookeeper+tls://)") as string,
    });
  });
});
