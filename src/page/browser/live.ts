// The stream of changes, and whether it runs: a page that shows what was must not look as if that were so now.
import type { ShownLock } from "../shape.js";

export interface Follower {
  /** All locks that somebody claims, once it is connected. */
  all(locks: readonly ShownLock[]): void;
  /** One lock has changed; nobody claims it any more when its lists are empty. */
  one(lock: ShownLock): void;
}

// A browser gives up by itself when a server answers with an error; then it is tried again, less and less often.
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 30_000;
// Three heartbeats of the server's: with less, a stream whose other end is gone would look like one on which nothing happens.
const LONGEST_SILENCE_MS = 45_000;

//   connecting → live ⇄ lost (the browser connects again; or we do, after an error of the server's or a silence)
export function follow(follower: Follower): void {
  const sign = document.getElementById("live");
  let source: EventSource | null = null;
  let retryMs = FIRST_RETRY_MS;
  let silence: ReturnType<typeof setTimeout> | undefined;

  const live = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      lost();
      connect();
    }, LONGEST_SILENCE_MS);
    if (sign === null || sign.dataset["state"] === "live") return;
    sign.dataset["state"] = "live";
    sign.textContent = "● live";
  };
  const lost = (): void => {
    if (sign === null || sign.dataset["state"] === "lost") return;
    sign.dataset["state"] = "lost";
    sign.textContent = `○ not live since ${new Date().toLocaleTimeString()}: the server cannot be reached, and is tried again`;
  };

  const connect = (): void => {
    source?.close();
    const opened = new EventSource("/v1/events");
    source = opened;
    opened.addEventListener("locks", (event: MessageEvent<string>) => {
      retryMs = FIRST_RETRY_MS;
      follower.all((JSON.parse(event.data) as { readonly locks: readonly ShownLock[] }).locks);
      live();
    });
    opened.addEventListener("lock", (event: MessageEvent<string>) => {
      follower.one(JSON.parse(event.data) as ShownLock);
      live();
    });
    opened.addEventListener("beat", live);
    // Where it resumes, nothing but what has changed is sent.
    opened.addEventListener("open", () => {
      if (sign?.dataset["state"] === "lost") live();
    });
    opened.addEventListener("error", () => {
      lost();
      if (opened.readyState !== EventSource.CLOSED) return;
      setTimeout(connect, retryMs);
      retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 2);
    });
  };
  connect();
}
