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

export function follow(follower: Follower): void {
  const sign = document.getElementById("live");
  let retryMs = FIRST_RETRY_MS;
  let isLost = false;

  const say = (isLive: boolean): void => {
    document.documentElement.classList.toggle("lost", !isLive);
    if (sign === null || (!isLive && isLost)) return;
    isLost = !isLive;
    sign.textContent = isLive
      ? "● live"
      : `○ not live since ${new Date().toLocaleTimeString()}: the server cannot be reached; trying again`;
  };

  const connect = (): void => {
    const source = new EventSource("/v1/events");
    source.addEventListener("locks", (event: MessageEvent<string>) => {
      retryMs = FIRST_RETRY_MS;
      follower.all((JSON.parse(event.data) as { readonly locks: readonly ShownLock[] }).locks);
      say(true);
    });
    source.addEventListener("lock", (event: MessageEvent<string>) => {
      follower.one(JSON.parse(event.data) as ShownLock);
    });
    // Where it resumes, nothing but what has changed is sent.
    source.addEventListener("open", () => {
      if (isLost) say(true);
    });
    source.addEventListener("error", () => {
      say(false);
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(connect, retryMs);
      retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 2);
    });
  };
  connect();
}
