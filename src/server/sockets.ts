// The sockets of the server: plain or TLS, how many there may be, and how slow and how large a request on one. Knows nothing
// of what is asked there.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, STATUS_CODES } from "node:http";
import type { IncomingMessage, RequestListener, Server, ServerOptions, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { ServerOptions as TlsOptions } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { networkOf, Tally } from "./limits.js";
import type { ServeOptions } from "./options.js";

export const LARGEST_HEADERS_BYTES = 16 * 1_024;

// A client sends its request at once. Answers may take longer: long polls and streams do.
const SLOWEST_HEADERS_MS = 10_000;
const SLOWEST_REQUEST_MS = 20_000;
const LOOKED_AFTER_EVERY_MS = 2_000;
// So long may a client leave what was sent to it untouched.
const SLOWEST_READER_MS = 60_000;
// Longer than the minute for which proxies keep a connection that is not used: else they send into one that is just being closed.
const KEPT_OPEN_MS = 72_000;
// A client that vanished without a word is found out while its long poll stands in line.
const PROBED_AFTER_MS = 30_000;
// Each takes some tens of kilobytes; a fleet with a page for everybody has fewer.
const MOST_CONNECTIONS = 10_000;
// One address can take no more of them than this, whatever it asks or does not ask on them. A proxy has all clients' connections:
// it is known by its address being under no limit.
const MOST_OF_ONE_ADDRESS = 5_000;

/** Makes servers for a handler; each that a name stands for gets one, and all are alike. */
export interface Sockets {
  create(handler: RequestListener): Server;
  /** Ends all connections, whatever goes on there. */
  cut(): void;
}

/** @throws HoldlineError `configuration` when certificate and key cannot be used */
export function openSockets(options: ServeOptions): Sockets {
  const servers: Server[] = [];
  /** On these an answer is under way. */
  const answering = new WeakSet<Duplex>();
  const connected = new Tally();
  const limits: ServerOptions = {
    maxHeaderSize: LARGEST_HEADERS_BYTES,
    headersTimeout: SLOWEST_HEADERS_MS,
    requestTimeout: SLOWEST_REQUEST_MS,
    connectionsCheckingInterval: LOOKED_AFTER_EVERY_MS,
    keepAliveTimeout: KEPT_OPEN_MS,
    keepAlive: true,
    keepAliveInitialDelay: PROBED_AFTER_MS,
  };
  const tls = tlsOf(options);
  return {
    create(handler) {
      const server = tls === null ? createServer(limits, handler) : createTlsServer({ ...limits, ...tls }, handler);
      server.maxConnections = MOST_CONNECTIONS;
      if (options.rate > 0) server.on("connection", (socket: Socket) => admit(socket, connected));
      server.setTimeout(SLOWEST_READER_MS);
      // The clock runs while nothing moves. That is how it is with a long poll, and not with an answer that is not fetched.
      server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
        answering.add(socket);
        response.once("close", () => {
          answering.delete(socket);
          // The server shuts down: it closes what is idle then, and not what becomes so later.
          if (!server.listening) socket.end();
        });
        response.on("timeout", () => {
          if (socket.writableLength > 0) socket.destroy();
        });
      });
      server.on("clientError", (error: Error & { readonly code?: string }, socket) => {
        // Nothing can be said in the middle of something else.
        if (answering.has(socket) || !socket.writable) socket.destroy();
        else answerClientError(error.code ?? "", socket);
      });
      servers.push(server);
      return server;
    },
    cut() {
      for (const server of servers) server.closeAllConnections();
    },
  };
}

function tlsOf({ cert, key, clientCa, from }: ServeOptions): TlsOptions | null {
  if (cert === null || key === null) return null;
  const certText = readPem(cert, from.cert);
  const keyText = readPem(key, from.key);
  const certificate = usable(cert, from.cert, "no certificate in PEM form", () => new X509Certificate(certText));
  const privateKey = usable(key, from.key, "no key in PEM form that can be read without a passphrase", () =>
    createPrivateKey(keyText),
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw new HoldlineError("configuration", `${from.key}: ${key} is not the key of the certificate ${cert}`, {
      hint: `${from.cert} and ${from.key} must belong together`,
    });
  const tls: TlsOptions = { cert: certText, key: keyText, minVersion: "TLSv1.2", handshakeTimeout: SLOWEST_HEADERS_MS };
  if (clientCa === null) return tls;
  const authorities = readPem(clientCa, "serve.client_ca");
  usable(clientCa, "serve.client_ca", "no certificate in PEM form", () => new X509Certificate(authorities));
  // Who comes without a certificate, or with one of others, may have other credentials; access.ts asks whether one is authorized.
  return { ...tls, ca: authorities, requestCert: true, rejectUnauthorized: false };
}

function readPem(path: string, from: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const why = WHY[code] ?? messageOf(error);
    throw new HoldlineError("configuration", `${from}: ${path} ${why}`, { hint: "name a file in PEM form", cause: error });
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: "is not there",
  EACCES: "may not be read by this user",
  EISDIR: "is a directory",
};

function usable<T>(path: string, from: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new HoldlineError("configuration", `${from}: ${path} holds ${what}`, { hint: "name a file in PEM form", cause: error });
  }
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, "the request took too long to arrive"],
  HPE_HEADER_OVERFLOW: [431, `the headers have more than ${LARGEST_HEADERS_BYTES} bytes`],
};

/** Answers what is no request, or was not one in time; no route has seen it. */
function answerClientError(code: string, socket: Duplex): void {
  const [status, detail] = CLIENT_ERRORS[code] ?? [400, "this is no HTTP request"];
  const title = STATUS_CODES[status] ?? "";
  // Clients of Locker's look for `error`, all others for the members of a problem.
  const body = JSON.stringify({ type: "about:blank", title: "usage", status, detail, error: detail });
  const head = `HTTP/1.1 ${status} ${title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n`;
  socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, () => socket.destroy());
}

function admit(socket: Socket, connected: Tally): void {
  const address = networkOf(socket.remoteAddress);
  if (connected.of(address) >= MOST_OF_ONE_ADDRESS) {
    socket.destroy();
    return;
  }
  connected.add(address);
  socket.once("close", () => connected.remove(address));
}
