// Asks a Prometheus which alerts fire. Whatever it does not answer, or not as its API says, blocks: nobody knows then.
import type { BlockerFact } from "../../gates/blockers.js";
import { isObject } from "../../locks/claim.js";
import { formatDuration } from "../../locks/durations.js";
import { messageOf } from "../../locks/errors.js";
import { link } from "../../locks/signals.js";
import { quoted, sanitize, shortened } from "../../locks/text.js";
import type { PrometheusBlocker } from "../machine.js";
import { compilePattern } from "../processes.js";

export async function lookForAlerts(
  { name, url, alerts, ignore, timeoutMs }: PrometheusBlocker,
  signal?: AbortSignal,
): Promise<Extract<BlockerFact, { readonly type: "prometheus" }>> {
  const [counts, isIgnored] = await Promise.all([compilePattern(alerts), ignore === null ? () => false : compilePattern(ignore)]);
  const { host } = new URL(url);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  const either = link(late.signal, ...(signal === undefined ? [] : [signal]));
  const problem = (text: string) => ({ type: "prometheus", name, problem: text }) as const;
  try {
    const { address, headers } = requestOf(url);
    const response = await fetch(address, { headers, signal: either.signal });
    const text = await textOf(response);
    if (text === null) return problem(`${host} answered with more than ${MOST_BYTES / 1_048_576} MiB`);
    if (!response.ok) return problem(`${host} answered ${response.status}${detailOf(text)}`);
    const firing = firingIn(text);
    if (firing === null) return problem(`${host} answered, but not as Prometheus does: ${quoted(text)}`);
    return { type: "prometheus", name, alerts: [...new Set(firing)].filter((each) => counts(each) && !isIgnored(each)).sort() };
  } catch (error) {
    signal?.throwIfAborted();
    if (late.signal.aborted) return problem(`${host} did not answer within ${formatDuration(timeoutMs)}`);
    return problem(`${host} could not be asked: ${reasonOf(error)}`);
  } finally {
    clearTimeout(timer);
    either.unlink();
  }
}

// Ten thousand alerts are a third of this. An answer without an end, or one that was packed to be large, must not take the memory that
// the node's work needs.
const MOST_BYTES = 32 * 1_048_576;

/** The text of an answer; `null` where it is too long. */
async function textOf({ body }: Response): Promise<string | null> {
  if (body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop ends the answer.
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Where to ask. A name and password in the URL become a header: `fetch` refuses such URLs, and messages must not show them. */
function requestOf(url: string): { readonly address: URL; readonly headers: Readonly<Record<string, string>> } {
  const address = new URL(url);
  const { username, password } = address;
  address.username = "";
  address.password = "";
  address.pathname = `${address.pathname.replace(/\/+$/, "")}/api/v1/alerts`;
  const headers = { accept: "application/json" };
  if (username === "" && password === "") return { address, headers };
  const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
  return { address, headers: { ...headers, authorization: `Basic ${credentials}` } };
}

/** The names of the alerts that fire, by the answer to `/api/v1/alerts`; `null` for any other text. */
function firingIn(text: string): string[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || value["status"] !== "success" || !isObject(value["data"])) return null;
  const { alerts } = value["data"];
  if (!Array.isArray(alerts)) return null;
  const firing: string[] = [];
  for (const alert of alerts as readonly unknown[]) {
    if (!isObject(alert) || !isObject(alert["labels"]) || typeof alert["state"] !== "string") return null;
    const { alertname } = alert["labels"];
    if (typeof alertname !== "string") return null;
    // The others are "pending" and "inactive".
    if (alert["state"] === "firing") firing.push(alertname);
  }
  return firing;
}

/** What Prometheus says of an error, where it says so. */
function detailOf(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "";
  }
  return isObject(value) && typeof value["error"] === "string" ? `: ${sanitize(shortened(value["error"], 100))}` : "";
}

/** `fetch` says "fetch failed", and the reason is its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const { code } = cause as NodeJS.ErrnoException;
  return sanitize(shortened(messageOf(cause) || (code ?? "no reason given"), 200));
}
