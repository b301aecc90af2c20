// Sending the page's documents: compressed for clients that take gzip, and with headers that forbid a browser everything that
// the page does not need.
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Visit } from "../../page/document.js";
import { acceptsGzip } from "./assets.js";

// A smaller document takes as many packets either way.
const SMALLEST_COMPRESSED = 1_400;

const HEADERS = {
  "Content-Security-Policy": [
    "default-src 'none'",
    ...["script-src", "style-src", "connect-src", "img-src", "form-action"].map((what) => `${what} 'self'`),
    ...["frame-ancestors", "base-uri"].map((what) => `${what} 'none'`),
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  // Other sites learn nothing. With "no-referrer" a browser would not say which site has sent a form.
  "Referrer-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  // A document is for this reader and this moment.
  "Cache-Control": "no-store",
  Vary: "Accept-Encoding",
};

/** Where the reader is, and whether to offer signing in or out. */
export function visitOf({ door, method, url }: FastifyRequest): Visit {
  return { door: door?.act ?? null, here: method === "POST" ? "/" : url };
}

/** Sends a document as it is. */
export function sendPlainDocument(reply: FastifyReply, document: string): FastifyReply {
  return reply.headers(HEADERS).type("text/html; charset=utf-8").send(document);
}

export async function sendDocument(reply: FastifyReply, document: string): Promise<FastifyReply> {
  if (document.length < SMALLEST_COMPRESSED || !acceptsGzip(reply.request)) return sendPlainDocument(reply, document);
  void reply.headers(HEADERS).type("text/html; charset=utf-8");
  return reply.header("Content-Encoding", "gzip").send(await compress(document));
}

const compress = promisify<string, Buffer>(gzip);
