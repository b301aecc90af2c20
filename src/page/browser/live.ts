// Follows the stream of changes. When the server is silent, or says that its store is, the page says within five seconds that
// it is not live, and since when.
import { momentText } from "../ages.js";
import type { LockJson } from "../../views/json.js";
import type { ShownFreezes } from "../freezes.js";

export interface Follower {
  /** All locks that somebody claims, once it is connected. */
  all(locks: readonly LockJson[]): void;
  /** One lock has changed. With empty lists, nobody claims it any more. */
  one(lock: LockJson): void;
  /** The freezes in force. */
  freezes(shown: ShownFreezes): void;
  /** Documents of nodes have changed. */
  nodes(): void;
  /** With `null` the page is live. Else it shows this moment, in milliseconds since 1970 by the store's clock. */
  known(until: number | null): void;
}

export interface Reader {
  /** The name by which the server knew the reader when it made the page. */
  readonly name: string;
  /** Milliseconds since 1970, by the store's clock. */
  readonly now: () => number;
}

// After an error a browser gives the stream up. The page then tries again, less and less often.
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 30_000;
const BEAT_S = 2;
// Two beats, and their time on the way.
const LONGEST_SILENCE_MS = 4_500;
// After this the server is gone, and not just slow.
const GIVEN_UP_AFTER_MS = 20_000;

//   connecting → live ⇄ stale (the store is silent) ⇄ lost (the server is; the browser connects again, or we do)
export function follow(follower: Follower, { name, now }: Reader): void {
  const sign = document.getElementById("live");
  let source: EventSource | null = null;
  let retryMs = FIRST_RETRY_MS;
  let heardAt = now();
  let storeSilentSince: string | null = null;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let end: ReturnType<typeof setTimeout> | undefined;

  const show = (state: "live" | "stale" | "lost", text: string, until: number | null): void => {
    follower.known(until);
    if (sign === null || sign.textContent === text) return;
    sign.dataset["state"] = state;
    sign.textContent = text;
  };
  const lost = (): void => {
    // If the store was silent before, the page is as old as that silence.
    const until = storeSilentSince === null ? heardAt : Date.parse(storeSilentSince);
    const since = momentText(new Date(until).toISOString());
    show("lost", `○ not live since ${since}: the server cannot be reached; trying again`, until);
  };
  const expectBeat = (): void => {
    clearTimeout(silence);
    clearTimeout(end);
    silence = setTimeout(lost, LONGEST_SILENCE_MS);
    end = setTimeout(connect, GIVEN_UP_AFTER_MS);
  };
  const heard = (): void => {
    heardAt = now();
    expectBeat();
    if (storeSilentSince !== null) {
      const since = momentText(storeSilentSince);
      const text = `○ not live since ${since}: the store does not answer, and later changes are unknown`;
      show("stale", text, Date.parse(storeSilentSince));
      return;
    }
    show("live", "● live", null);
    const outage = document.getElementById("outage");
    if (outage !== null) outage.hidden = true;
  };

  function connect(): void {
    source?.close();
    expectBeat();
    const opened = new EventSource(`/v1/events?beat=${BEAT_S}`);
    source = opened;
    opened.addEventListener("locks", (event: MessageEvent<string>) => {
      retryMs = FIRST_RETRY_MS;
      const all = JSON.parse(event.data) as ShownFreezes & { readonly locks: readonly LockJson[] };
      follower.freezes(all);
      follower.all(all.locks);
    });
    opened.addEventListener("freezes", (event: MessageEvent<string>) => {
      follower.freezes(JSON.parse(event.data) as ShownFreezes);
    });
    opened.addEventListener("nodes", () => follower.nodes());
    opened.addEventListener("lock", (event: MessageEvent<string>) => {
      follower.one(JSON.parse(event.data) as LockJson);
    });
    opened.addEventListener("store", (event: MessageEvent<string>) => {
      storeSilentSince = (JSON.parse(event.data) as { readonly silentSince: string | null }).silentSince;
      heard();
    });
    // The first beat comes at the end of what a stream begins with.
    opened.addEventListener("beat", (event: MessageEvent<string>) => {
      becomeReader((JSON.parse(event.data) as { readonly caller: string }).caller, name);
      heard();
    });
    // The server repeats that a store is silent.
    opened.addEventListener("open", () => {
      storeSilentSince = null;
      // Which nodes have changed meanwhile is not told again.
      follower.nodes();
    });
    opened.addEventListener("error", () => {
      lost();
      if (opened.readyState !== EventSource.CLOSED) return;
      clearTimeout(end);
      setTimeout(connect, retryMs);
      retryMs = Math.min(LONGEST_RETRY_MS, retryMs * 2);
      void askToSignIn();
    });
  }
  connect();
}

const TRIED = "holdline-reader";

/**
 * Reloads the page when the server knows the reader by another name than the page does: after signing in or out in another
 * tab, or after a link from another site, with which a browser sends no cookie. Only once: if the names still differ, the cookie
 * is not the reason.
 */
function becomeReader(caller: string, name: string): void {
  if (caller === name) sessionStorage.removeItem(TRIED);
  else if (sessionStorage.getItem(TRIED) !== caller) {
    sessionStorage.setItem(TRIED, caller);
    loadAnew();
  }
}

/** An EventSource does not say why it failed. Asks for the page itself, and shows the sign-in form if credentials are missing. */
async function askToSignIn(): Promise<void> {
  const response = await fetch(location.href, { method: "HEAD" }).catch(() => null);
  if (response?.status === 401) loadAnew();
}

/** Not `reload()`, which browsers may treat as a repetition of another site's link; and without a hash, which would load nothing. */
function loadAnew(): void {
  location.replace(`${location.pathname}${location.search}`);
}
