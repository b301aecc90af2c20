// Requests to those who give credentials: short, tried twice, and told about without anything secret.
import { HoldlineError, messageOf, UnreachableError } from "../../../locks/errors.js";
import type { Found } from "./source.js";

// They are on this machine or in its region.
const TIMEOUT_MS = 2_000;
const MOST_TRIES = 2;

export interface Question {
  /** For people: who is asked. */
  readonly who: string;
  readonly url: URL;
  readonly method?: "GET" | "PUT" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** What is wrong where a refusal says so in its body. */
  readonly why?: (body: string) => string;
}

/**
 * @throws UnreachableError when nobody answers, or only that something has gone wrong there
 * @throws HoldlineError `not-allowed` when the answer is no
 */
export async function ask({ who, url, method = "GET", headers = {}, body, why = () => "" }: Question): Promise<string> {
  for (let tries = 1; ; tries += 1) {
    let status = 0;
    let text: string;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(url, { method, headers, signal, redirect: "error", ...(body === undefined ? {} : { body }) });
      status = response.status;
      text = await response.text();
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      text = messageOf(cause);
    }
    if (status === 200) return text;
    if (status >= 400 && status < 500) {
      const reason = why(text);
      throw new HoldlineError("not-allowed", `${who} gives no credentials: ${reason === "" ? `it says ${status}` : reason}`);
    }
    const said = status === 0 ? text : `it says ${status}`;
    if (tries === MOST_TRIES) throw new UnreachableError(`${who} gives no credentials at the moment: ${said}`);
  }
}

/** Credentials as containers' and instances' services give them. */
export function foundIn(text: string, who: string): Found {
  let said: Readonly<Record<string, unknown>> = {};
  try {
    said = JSON.parse(text) as typeof said;
  } catch {
    // Said below: it is no answer that has what is needed.
  }
  const textOf = (name: string): string => (typeof said[name] === "string" ? said[name] : "");
  const [accessKeyId, secretAccessKey, sessionToken] = [textOf("AccessKeyId"), textOf("SecretAccessKey"), textOf("Token")];
  return foundOf({ accessKeyId, secretAccessKey, sessionToken, expiration: textOf("Expiration") }, who);
}

/** @throws UnreachableError for an answer that lacks something */
export function foundOf(
  said: Readonly<Record<"accessKeyId" | "secretAccessKey" | "sessionToken" | "expiration", string>>,
  who: string,
): Found {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = said;
  if (accessKeyId === "" || secretAccessKey === "")
    throw new UnreachableError(`${who} gives no credentials: its answer has no keys`);
  const expiresAt = Date.parse(expiration);
  return {
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === "" ? {} : { sessionToken }) },
    expiresAt: Number.isNaN(expiresAt) ? null : expiresAt,
  };
}
