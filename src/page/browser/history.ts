// The history on the page, read again when something changes.
import { recordItems } from "../history.js";
import type { RecordJson } from "../../views/json.js";
import type { AgeTicker } from "./ages.js";
import { focusNear } from "./list.js";
import { replaceContent } from "./markup.js";

export interface HistoryList {
  refreshSoon(): void;
}

// A fleet changes all the time, and each reading asks a store.
const SHORTEST_GAP_MS = 1_000;

export function followHistory(list: HTMLElement, now: () => number, ages: AgeTicker): HistoryList {
  const address = `/v1/history?${list.dataset["query"] ?? ""}`;
  let isPending = false;
  let shown = "";
  let readAt = -SHORTEST_GAP_MS;
  ages.watch(list);

  const refresh = async (): Promise<void> => {
    isPending = false;
    readAt = performance.now();
    const response = await fetch(address);
    // The page shows a wrong query already, and live.ts shows an outage.
    if (!response.ok) return;
    const text = await response.text();
    if (text === shown) return;
    shown = text;
    const { history } = JSON.parse(text) as { readonly history: readonly RecordJson[] };
    if (replaceContent(list, recordItems(history, now(), list.dataset["only"] === undefined))) focusNear(null);
  };
  return {
    refreshSoon() {
      if (isPending) return;
      isPending = true;
      // After a failure, the next change or connection reads again.
      setTimeout(() => void refresh().catch(() => undefined), Math.max(0, readAt + SHORTEST_GAP_MS - performance.now()));
    },
  };
}
