// Receivers of notifications, as real as they are: HTTP servers that behave as they are told, and commands.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly type: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface WebServer {
  readonly origin: string;
  /** What it was asked, in order; complete requests only. */
  readonly asked: readonly Asked[];
}

/** Starts a server that ends with the test. @param answer answers a request, or never does */
export async function startReceiver(
  answer: (response: ServerResponse, request: IncomingMessage) => void = (response) => response.end("ok"),
): Promise<WebServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { method = "", url: path = "", headers } = request;
      asked.push({ method, path, type: headers["content-type"] ?? "", body: JSON.parse(body) as Asked["body"] });
      answer(response, request);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
