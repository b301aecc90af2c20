// Errors in HTTP: the status of each code, and the form in which each protocol of this server wants the words.
import type { FastifyReply, FastifyRequest } from "fastify";
import type { ErrorCode } from "../locks/errors.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { problemDocument } from "../page/document.js";
import { signInDocument } from "../page/sign-in.js";
import { sendPlainDocument, visitOf } from "./page/send.js";

/** The form of a route's errors: Locker's, FleetLock's, a document of the page, or problem details (RFC 9457). */
export type ErrorForm = "locker" | "fleetlock" | "page" | "problem";

declare module "fastify" {
  interface FastifyContextConfig {
    readonly errors?: ErrorForm;
  }
}

const STATUS: Readonly<Record<ErrorCode, number>> = {
  usage: 400,
  configuration: 500,
  unreachable: 503,
  "not-allowed": 403,
  "session-lost": 503,
  "claim-lost": 409,
  conflict: 409,
  "nothing-there": 404,
  "output-lost": 500,
  interrupted: 503,
  bug: 500,
};

/** A refusal in HTTP's terms. */
export interface Refusal {
  readonly status: number;
  /** One word for programs to compare. */
  readonly kind: string;
  readonly message: string;
  readonly hint?: string | null;
  /** Further members of a problem document. */
  readonly more?: Readonly<Record<string, unknown>>;
}

// The server reconnects to a silent store at once, so that a client that asks every few seconds loses little time.
const RETRY_AFTER_S = 5;

export function refusalOf(error: unknown): Refusal {
  if (error instanceof HoldlineError) {
    const { code, message, hint } = error;
    return { status: STATUS[code], kind: code, message, hint };
  }
  const status = error instanceof Error && "statusCode" in error ? Number(error.statusCode) : 500;
  // Fastify's own refusals say what is wrong with the request. Strangers learn nothing of unexpected errors.
  if (status >= 400 && status < 500) return { status, kind: "usage", message: messageOf(error) };
  return { status: 500, kind: "bug", message: "an unexpected error; the server's log says which" };
}

/** The form of a request's errors. Without a route, people who have typed an address get a document. */
export function errorFormOf({ routeOptions, is404, method, headers }: FastifyRequest): ErrorForm {
  const isPerson = is404 && (method === "GET" || method === "HEAD") && /\btext\/html\b/i.test(headers.accept ?? "");
  return routeOptions.config.errors ?? (isPerson ? "page" : "problem");
}

/** Answers with a refusal. */
export function refuse(reply: FastifyReply, form: ErrorForm, refusal: Refusal): FastifyReply {
  const { status, kind, message, hint, more } = refusal;
  if (status === 503) void reply.header("Retry-After", String(RETRY_AFTER_S));
  // Locker's clients look for this word in the status line.
  if (status === 423) reply.raw.statusMessage = "Locked";
  void reply.code(status);
  if (form === "page") return refusePage(reply, refusal);
  if (form === "locker") return reply.send({ error: message });
  if (form === "fleetlock") return reply.send({ kind, value: message });
  const problem = { type: "about:blank", title: kind, status, detail: message, ...(hint == null ? {} : { hint }), ...more };
  return reply.header("Content-Type", "application/problem+json").send(JSON.stringify(problem));
}

/** Refuses with a document of the page. Unknown readers get the sign-in form, which then leads on to the address they wanted. */
function refusePage(reply: FastifyReply, { status, message, hint }: Refusal): FastifyReply {
  const { door, headers } = reply.request;
  const standing = visitOf(reply.request);
  if (status !== 401 || door?.act !== "sign-in") return sendPlainDocument(reply, problemDocument(message, hint ?? null, standing));
  // A reader who sent no credentials has not sent wrong ones.
  const problem = headers.authorization === undefined ? null : message;
  return sendPlainDocument(reply, signInDocument(door.takes, { to: standing.here, name: "", problem }));
}
