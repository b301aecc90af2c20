// The history on the page, read anew when something has changed.
import { recordItems } from "../history.js";
import type { RecordJson } from "../../views/json.js";
import type { AgeTicker } from "./ages.js";
import { focusNear } from "./list.js";
import { replaceContent } from "./markup.js";

export interface HistoryList {
  refreshSoon(): void;
}

// A fleet changes all the time, and a history is read out of a store.
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
    // What went wrong with the query is on the page already; what else goes wrong the stream shows.
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
      // A request that fails is made again with the next change, and with the next connection.
      setTimeout(() => void refresh().catch(() => undefined), Math.max(0, readAt + SHORTEST_GAP_MS - performance.now()));
    },
  };
}
