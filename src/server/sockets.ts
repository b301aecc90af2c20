// The server's sockets, plain or TLS: how many there may be, and how slow and how large a request may be. Knows no routes.
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

// Clients send their requests at once. Answers may take longer: long polls and streams do.
const SLOWEST_HEADERS_MS = 10_000;
const SLOWEST_REQUEST_MS = 20_000;
const LOOKED_AFTER_EVERY_MS = 2_000;
// How long a client may leave an answer unread.
const SLOWEST_READER_MS = 60_000;
// Longer than the minute for which proxies keep an idle connection: else they would send into one that is just closing.
const KEPT_OPEN_MS = 72_000;
// So that a client that vanished without a word is noticed while its long poll stands in line.
const PROBED_AFTER_MS = 30_000;
// Each takes some tens of kilobytes; a fleet with a page for everybody has fewer.
const MOST_CONNECTIONS = 10_000;
// For each address. Behind a proxy all clients have the proxy's address: then the operator sets serve.rate to 0, which lifts
// this limit too.
const MOST_OF_ONE_ADDRESS = 5_000;

/** Makes servers for a handler, one for each address that the host name stands for. */
export interface Sockets {
  create(handler: RequestListener): Server;
  /** Ends all connections at once. */
  cut(): void;
}

/** @throws HoldlineError `configuration` when certificate and key cannot be used */
export function openSockets(options: ServeOptions): Sockets {
  const servers: Server[] = [];
  /** The sockets with an answer under way. */
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
      // The timeout also fires on a long poll, where nothing moves. Only an answer that nobody reads ends the connection.
      server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
        answering.add(socket);
        response.once("close", () => {
          answering.delete(socket);
          // At shutdown Fastify closes idle connections, but not those that become idle later.
          if (!server.listening) socket.end();
        });
        response.on("timeout", () => {
          if (socket.writableLength > 0) socket.destroy();
        });
      });
      server.on("clientError", (error: Error & { readonly code?: string }, socket) => {
        // An error cannot be sent in the middle of an answer.
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
  // A client without a certificate, or with somebody else's, may have other credentials. access.ts asks whether it is authorized.
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

/** Answers garbage, and requests that took too long. No route has seen them. */
function answerClientError(code: string, socket: Duplex): void {
  const [status, detail] = CLIENT_ERRORS[code] ?? [400, "this is no HTTP request"];
  const title = STATUS_CODES[status] ?? "";
  // Locker's clients look for `error`, all others for the members of a problem.
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
