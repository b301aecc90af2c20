// The Concourse resource: check, in and out of https://concourse-ci.org/implementing-resource-types.html, with the source and
// the params of locker-resource. Results go to standard output; everything else goes to `say`.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { directorName, Locker } from "./locker.js";
import type { Patience } from "./patience.js";
import { persist } from "./patience.js";
import type { Metadatum } from "./pools.js";
import { countOf, metadataOf, refOf } from "./pools.js";
import { parseCheckRequest, parsePutRequest } from "./request.js";
import type { CheckRequest, PutParams } from "./request.js";

export interface Version {
  readonly ref: string;
}

export interface Result {
  readonly version: Version;
  readonly metadata: readonly Metadatum[];
}

/** What a resource needs beside its request. */
export type Surroundings = Pick<Patience, "signal" | "say">;

/** The lock's version, unless Concourse knows it. Tries once: Concourse checks again by itself. */
export async function check(text: string, { signal, say }: Surroundings): Promise<readonly Version[]> {
  const { source, ref: known } = parseCheckRequest(text);
  const once = { timeoutMs: 0, signal, say };
  const lock = await nameOf(source, once);
  const ref = refOf(await persist(() => new Locker(source).look(lock), once));
  return ref === known ? [] : [{ ref }];
}

/** Writes the lock as it is to the file `lock`. The version is the requested one, because a Locker keeps no past states. */
export async function get(text: string, directory: string, surroundings: Surroundings): Promise<Result> {
  const { source, ref } = parseCheckRequest(text);
  if (ref === null) throw new HoldlineError("configuration", "the request: version.ref is missing: it says what to get");
  const patience = { ...surroundings, timeoutMs: source.timeoutMs };
  const lock = await nameOf(source, patience);
  const pool = await persist(() => new Locker(source).look(lock), patience);
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, "lock"), `${JSON.stringify(pool.listed)}\n`);
  } catch (error) {
    throw new HoldlineError("usage", `the lock cannot be written to ${directory}: ${messageOf(error)}`, { cause: error });
  }
  return { version: { ref }, metadata: metadataOf(lock, pool) };
}

/** Locks, and waits while another key holds the lock; or unlocks. */
export async function put(text: string, surroundings: Surroundings): Promise<Result> {
  const { source, params } = parsePutRequest(text);
  const timeoutMs = params.timeoutMs === undefined ? source.timeoutMs : params.timeoutMs;
  const patience = { ...surroundings, timeoutMs };
  const lock = await nameOf(source, patience);
  const locker = new Locker(source);
  const status = await persist(async () => {
    const answer = await locker.put(lock, params);
    // Another key holds the lock now: after a wait, unlocking would end what is not this build's any more.
    if (answer.outcome === "held" && params.operation === "unlock") throw new HoldlineError("not-allowed", answer.words);
    return answer;
  }, patience);
  if (params.operation === "lock" && surroundings.signal.aborted) await undo(locker, lock, params, surroundings);
  surroundings.say(status);
  const pool = await persist(() => locker.look(lock), patience);
  return { version: { ref: refOf(pool) }, metadata: [...metadataOf(lock, pool), { name: "status", value: status }] };
}

/** The build was aborted while it took the lock, and nobody would unlock it. */
async function undo(locker: Locker, lock: string, params: PutParams, { signal, say }: Surroundings): Promise<never> {
  const last: Patience = { timeoutMs: 0, signal: new AbortController().signal, say };
  const requestor = params.lockedBy ?? params.key;
  const count = countOf(await persist(() => locker.look(lock), last), requestor);
  // Unlocking would set the counter to 0, and so end what others have taken under the same name.
  if (count === 1) await persist(() => locker.put(lock, { ...params, operation: "unlock" }), last);
  else say(`${lock} stays locked by ${requestor}: the build was aborted, and this name counts ${count} times`);
  throw signal.reason;
}

function nameOf({ lock }: CheckRequest["source"], patience: Patience): Promise<string> {
  return typeof lock === "string" ? Promise.resolve(lock) : persist(() => directorName(lock), patience);
}
