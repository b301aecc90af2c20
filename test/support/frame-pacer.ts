// A proxy in front of a ZooKeeper that hands on what the server says frame by frame, and can keep a session's pings from
// it, so that it expires while its connection stands.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { inject } from "vitest";
import { FrameReader, Opcode, toWire } from "./zookeeper-frames.js";

// Long enough that what is sent apart is read apart.
const GAP_MS = 20;
const PING_XID = -2;

export interface FramePacer {
  readonly address: string;
  /** From now on pings are answered here. */
  keepPings(): void;
  /** From now on each of the server's frames is sent a while after the one before. */
  sendApart(): void;
  close(): void;
}

export async function openFramePacer(): Promise<FramePacer> {
  const target = inject("zookeeper");
  const sockets = new Set<Socket>();
  let [keepsPings, isApart] = [false, false];

  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      // What breaks is closed, and the other side with it.
      socket.on("error", () => undefined);
    }
    let sending = Promise.resolve();
    const send = (frame: Buffer): void => {
      sending = sending.then(async () => {
        client.write(toWire(frame));
        if (isApart) await pause(GAP_MS);
      });
    };
    const [requests, answers] = [new FrameReader(), new FrameReader()];
    client.on("data", (chunk: Buffer) => {
      for (const frame of requests.push(chunk)) {
        if (keepsPings && frame.length === 8 && frame.readInt32BE(4) === Opcode.ping) send(pong());
        else upstream.write(toWire(frame));
      }
    });
    upstream.on("data", (chunk: Buffer) => {
      for (const frame of answers.push(chunk)) send(frame);
    });
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => void sending.then(() => client.destroy()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    keepPings: () => void (keepsPings = true),
    sendApart: () => void (isApart = true),
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** The answer to a ping: its number, no transaction, no error. */
function pong(): Buffer {
  const frame = Buffer.alloc(4 + 8 + 4);
  frame.writeInt32BE(PING_XID, 0);
  return frame;
}
