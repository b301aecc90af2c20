// What the conformance suite asks of connections that break, over TLS with a client's certificate and SASL. The fault proxy reads frames,
// so the client's TLS ends in front of it and another begins behind it; the login passes through.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectSecurely, createServer as createSecureServer } from "node:tls";
import { afterAll, beforeAll, describe } from "vitest";
import { describeExpiries } from "../../../../src/conformance/expiries.js";
import { describeLosses } from "../../../../src/conformance/losses.js";
import { describeOutages } from "../../../../src/conformance/outages.js";
import { stageFor } from "../../../../src/conformance/stage.js";
import { secureOptions } from "../../../../src/secure-connection.js";
import { PEM_PROBLEM } from "../../../support/certificates.js";
import { BREAKS_SECURE_CONNECTIONS } from "../../../support/effort.js";
import { failOnLeaks } from "../../../support/leaks.js";
import { freshRoot } from "../../../support/roots.js";
import { canStartServers, startZooKeeper, type ZooKeeperServer } from "../../../support/zookeeper-server.js";
import { openZooKeeperTestStore } from "../test-store.js";
import { makeSecureFiles, paramsOf, type SecureFiles } from "./certificates.js";

failOnLeaks();

const cannot = PEM_PROBLEM ?? ((await canStartServers()) ? null : "there is no local ZooKeeper to start");
if (cannot !== null) console.log(`skipped: ZooKeeper with TLS, because ${cannot}`);

interface Door {
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Listens, and passes each connection on through another one. */
async function openDoor(create: (accept: (socket: Socket) => void) => Server, onward: () => Socket): Promise<Door> {
  const sockets = new Set<Socket>();
  const server = create((socket) => {
    const next = onward();
    for (const [one, other] of [
      [socket, next],
      [next, socket],
    ] as const) {
      sockets.add(one);
      // An error is an end like others.
      one.on("error", () => undefined);
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    address: `127.0.0.1:${port}`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

describe.skipIf(cannot !== null)("over TLS and SASL", () => {
  let files: SecureFiles;
  let server: ZooKeeperServer;
  let back: Door;

  beforeAll(async () => {
    files = makeSecureFiles();
    server = await startZooKeeper({
      secure: { certificate: files.server, authority: files.authority, clients: "need" },
      users: { bob: "s3cret" },
    });
    const keys = { ca: files.authority.cert, cert: files.client.cert, key: files.client.key };
    const to = { ...secureOptions(keys, server.host), host: server.host, port: server.securePort as number };
    back = await openDoor(createServer, () => connectSecurely(to));
  });

  afterAll(async () => {
    await back.close();
    await server.close();
    files.remove();
  });

  const stage = stageFor({
    hasFaults: true,
    goneWithinMs: 15_000,
    open: async () => {
      const root = freshRoot();
      const { authority, server: pem, client } = files;
      const params = paramsOf({ sasl: "digest-md5", ca: authority.cert, cert: client.cert, key: client.key });
      const tls = { cert: readFileSync(pem.cert), key: readFileSync(pem.key) };
      return openZooKeeperTestStore({
        server,
        root,
        urlAt: (address) => `zookeeper+tls://bob:s3cret@${address}${root}${params}`,
        behind: { host: "127.0.0.1", port: back.port },
        front: (proxy) =>
          openDoor(
            (accept) => createSecureServer(tls, accept),
            () => connect(proxy.port, proxy.host),
          ),
      });
    },
  });

  describeLosses(stage);
  if (BREAKS_SECURE_CONNECTIONS) {
    describeExpiries(stage);
    describeOutages(stage);
  }
});
