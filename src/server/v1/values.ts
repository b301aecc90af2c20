// Reading the members of requests, and sending the answers that all routes of the API have in common.
import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { plainData } from "../../locks/data.js";
import type { Field } from "../../config/field.js";
import { readDurationMs } from "../../config/field.js";
import { readGiven } from "../../config/given.js";
import { readTtlMs } from "../../config/locks.js";
import type { Right } from "../../config/settings.js";
import { problemInData } from "../../leases/data.js";
import { formatDuration } from "../../locks/durations.js";
import { HoldlineError } from "../../locks/errors.js";
import type { Caller } from "../access.js";

/**
 * A member of a body or a query; `fallback` where it is missing or `null`.
 * @throws HoldlineError `usage` with what `read` finds wrong
 */
export function readMember<T, D>(
  from: Readonly<Record<string, unknown>>,
  name: string,
  read: (field: Field) => T | undefined,
  fallback: D,
): T | D {
  const value = from[name];
  return value === undefined || value === null ? fallback : readGiven(value, name, read);
}

/** How long a lease lasts, in milliseconds; `null`: until it is released. @param fallback where nothing is said */
export function readTtl(body: Readonly<Record<string, unknown>>, fallback: number | null): number | null {
  return body["ttl"] === null ? null : readMember(body, "ttl", readTtlMs, fallback);
}

/** Proxies and clients give up on an answer that takes longer. To wait on, a client asks again with the same id. */
export const LONGEST_WAIT_MS = 10 * 60_000;

/** How long to stand in line, in milliseconds; 0 by default. */
export function readWait(body: Readonly<Record<string, unknown>>): number {
  return readMember(body, "wait", readWaitMs, 0);
}

function readWaitMs(field: Field): number | undefined {
  const ms = readDurationMs(field, { zero: true });
  if (ms === undefined || ms <= LONGEST_WAIT_MS) return ms;
  return field.refuse(`must be at most ${formatDuration(LONGEST_WAIT_MS)}; ask again with the same id to wait on`);
}

/** Data for a claim. */
export function parseData(value: unknown, name: string): unknown {
  return readGiven(value ?? null, name, (field) => {
    const problem = problemInData(field.value);
    if (problem !== null) return field.refuse(problem);
    const plain = plainData(field.value);
    return "data" in plain ? plain.data : field.refuse(plain.problem);
  });
}

/** @throws HoldlineError `not-allowed` for a caller without any of these rights to any lock */
export function requireSome(caller: Caller, ...rights: readonly Right[]): void {
  if (rights.some((right) => caller.may(right))) return;
  throw new HoldlineError("not-allowed", `${caller.name} has none of the rights ${rights.join(", ")}`, {
    hint: "access: in the server's configuration gives each name its rights",
  });
}

/** Answers with a document and a strong tag made from it, or with 304 when the client has that already. */
export function sendTagged(request: FastifyRequest, reply: FastifyReply, text: string): FastifyReply {
  return sendUnder(tagOf(text), request, reply, () => text);
}

/** The same where the tag is known without the text. */
export function sendUnder(tag: string, request: FastifyRequest, reply: FastifyReply, text: () => string): FastifyReply {
  void reply.header("ETag", tag).header("Cache-Control", "private, no-cache");
  const known = request.headers["if-none-match"];
  if (known !== undefined && (known.trim() === "*" || known.split(",").some((one) => one.trim().replace(/^W\//, "") === tag)))
    return reply.code(304).send();
  return reply.type("application/json; charset=utf-8").send(text());
}

/** The tag of a list of documents that are kept between requests, and of what stands beside it. */
export function tagOfAll(items: readonly { readonly text: string }[], beside = ""): string {
  return tagOf(Buffer.concat([...items.map(hashOf), Buffer.from(beside)]));
}

/** The hash of each document's text, kept because most stay the same between two requests. */
const hashes = new WeakMap<object, Buffer>();

function hashOf(item: { readonly text: string }): Buffer {
  const known = hashes.get(item);
  if (known !== undefined) return known;
  const hash = createHash("sha256").update(item.text).digest();
  hashes.set(item, hash);
  return hash;
}

export function tagOf(content: string | Uint8Array): string {
  return `"${createHash("sha256").update(content).digest("base64url")}"`;
}
