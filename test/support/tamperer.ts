// A connection to a ZooKeeper, the run's if no other is named, on which a single reply is not what the server has said: what other
// servers, and broken ones, may answer.
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { inject, onTestFinished } from "vitest";
import type { ServerAddress } from "./zookeeper-server.js";

/** What becomes of a reply. */
export interface Tampered {
  readonly send: Buffer;
  readonly cut: boolean;
  /** The frame's length is to be that of what is sent. */
  readonly resize?: boolean;
}

/** Makes of a reply what is sent in its place; `null` for one that is not the one meant. */
export type Tamper = (reply: Buffer) => Tampered | null;

/** A connection to the server that changes one reply, once. Replies come whole here: each is asked for alone. */
export async function openTamperer(target: ServerAddress = inject("zookeeper")) {
  const sockets = new Set<Socket>();
  let tamper: Tamper | null = null;
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on("data", (chunk: Buffer) => {
      const isReply = chunk.length >= 20 && chunk.readInt32BE(4) >= 0;
      if (tamper === null || !isReply) return void client.write(chunk);
      const tampered = tamper(chunk);
      if (tampered === null) return void client.write(chunk);
      const { send, cut, resize } = tampered;
      tamper = null;
      if (resize === true) send.writeInt32BE(send.length - 4, 0);
      client.write(send, () => {
        if (cut) client.destroy();
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    breakNextReply: (change: Tamper) => {
      tamper = change;
    },
  };
}
