// How a document of the page is sent: compressed where that is understood, and with headers by which a browser takes it for
// nothing but what it is.
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Visit } from "../../page/document.js";
import { acceptsGzip } from "./assets.js";

// A document that is smaller is sent in as many packets either way.
const SMALLEST_COMPRESSED = 1_400;

const HEADERS = {
  "Content-Security-Policy": [
    "default-src 'none'",
    ...["script-src", "style-src", "connect-src", "img-src", "form-action"].map((what) => `${what} 'self'`),
    ...["frame-ancestors", "base-uri"].map((what) => `${what} 'none'`),
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  // Other sites learn nothing. Not "no-referrer": with that a browser does not say, of a form, which site has sent it.
  "Referrer-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  // What is on it is for whoever asked, and for now.
  "Cache-Control": "no-store",
  Vary: "Accept-Encoding",
};

/** What a document offers its reader, and where the reader is. */
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
