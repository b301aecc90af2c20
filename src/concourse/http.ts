// One HTTP request with node's own client, because fetch takes no certificates for a single request. The outcome is a value: an
// answer, or silence.
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { messageOf } from "../locks/errors.js";
import type { Credentials, Endpoint } from "./request.js";

export interface Ask {
  readonly method: "GET" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: object;
}

export type Reply =
  | {
      readonly outcome: "answered";
      readonly status: number;
      /** How long the server asks to wait, in milliseconds; 0 if it does not say. */
      readonly retryAfterMs: number;
      readonly text: string;
    }
  /** `isForNow`: another try may get an answer. */
  | { readonly outcome: "silent"; readonly isForNow: boolean; readonly problem: string };

// Longer than a server waits for its store. A connection may break without a word.
const LONGEST_REPLY_MS = 30_000;
// Ten thousand claims take one megabyte.
const LARGEST_REPLY_BYTES = 64 * 1_048_576;

// A server or a network that restarts. An unknown name or an untrusted certificate is not among them.
const FOR_NOW = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EAI_AGAIN",
  "ENETUNREACH",
  "EHOSTUNREACH",
]);

export function ask(
  { uri, ca, skipsValidation }: Endpoint,
  credentials: Credentials | null,
  { method, path, body }: Ask,
): Promise<Reply> {
  const url = new URL(`${uri}${path}`);
  const payload = body === undefined ? null : JSON.stringify(body);
  const options = {
    method,
    agent: false,
    headers: {
      Accept: "application/json",
      ...(payload === null ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(payload) }),
      ...(credentials === null ? {} : { Authorization: `Basic ${encoded(credentials)}` }),
    },
    rejectUnauthorized: !skipsValidation,
    ...(ca === null ? {} : { ca }),
  };
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const isForNow = FOR_NOW.has(error.code ?? "");
      resolve({ outcome: "silent", isForNow, problem: messageOf(error) || (error.code ?? "no answer") });
    };
    const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, options, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > LARGEST_REPLY_BYTES) request.destroy(new Error(`the answer has more than ${LARGEST_REPLY_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", fail);
      response.on("end", () => {
        const { statusCode: status = 0, headers } = response;
        const seconds = Number(headers["retry-after"] ?? 0);
        const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0;
        resolve({ outcome: "answered", status, retryAfterMs, text: Buffer.concat(chunks).toString("utf8") });
      });
    });
    const tooLong = setTimeout(() => {
      request.destroy(Object.assign(new Error(`no answer within ${LONGEST_REPLY_MS / 1_000} s`), { code: "ETIMEDOUT" }));
    }, LONGEST_REPLY_MS);
    request.on("close", () => clearTimeout(tooLong));
    request.on("error", fail);
    request.end(payload ?? undefined);
  });
}

/** The credentials as the header of each request has them. */
export function encoded({ user, password }: Credentials): string {
  return Buffer.from(`${user}:${password}`).toString("base64");
}
