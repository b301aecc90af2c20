// The fleet on the page: asks the server for it anew when something has changed, and while people choose in the form.
import type { AgeTicker } from "./ages.js";
import { focusNear } from "./list.js";
import { replaceContent } from "./markup.js";

export interface FleetPart {
  refreshSoon(): void;
}

// A fleet changes all the time, and a server has many readers.
const SHORTEST_GAP_MS = 1_000;
// People type faster than they read.
const TYPING_MS = 150;

export function followFleet(part: HTMLElement, ages: AgeTicker): FleetPart {
  const form = document.getElementById("fleet-filter") as HTMLFormElement;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isPending = false;
  let readAt = -SHORTEST_GAP_MS;
  let asked = 0;
  ages.watch(part);

  const refresh = async (): Promise<void> => {
    isPending = false;
    readAt = performance.now();
    const number = (asked += 1);
    const response = await fetch(`${location.pathname}${location.search}`, { headers: { Accept: "text/html" } });
    const text = await response.text();
    // A later question has overtaken this one.
    if (number !== asked) return;
    // A document without this part is an error's, and live.ts shows outages.
    const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("fleet");
    if (fresh === null || fresh.innerHTML === part.innerHTML) return;
    if (replaceContent(part, { text: fresh.innerHTML })) focusNear(null);
  };
  const refreshIn = (ms: number): void => {
    isPending = true;
    clearTimeout(timer);
    // After a failure, the next change or connection reads again.
    timer = setTimeout(() => void refresh().catch(() => undefined), ms);
  };
  const choose = (): void => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (typeof value === "string" && value !== "") query.set(name, value);
    history.replaceState(null, "", query.size === 0 ? "/fleet" : `/fleet?${query.toString()}`);
    refreshIn(TYPING_MS);
  };
  form.addEventListener("input", choose);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose();
  });
  return {
    refreshSoon() {
      if (!isPending) refreshIn(Math.max(0, readAt + SHORTEST_GAP_MS - performance.now()));
    },
  };
}
