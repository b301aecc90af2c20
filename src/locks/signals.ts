// Abort signals that depend on others for a while. `AbortSignal.any` keeps memory for each of its results as long as its sources
// live, which adds up in a wait of days.

/** A signal that aborts with the first of its sources, and the function that makes it independent of them again. */
export interface Linked {
  readonly signal: AbortSignal;
  readonly unlink: () => void;
}

/** Links a signal that aborts as soon as one of the sources does, with its reason. The caller must unlink it. */
export function link(...sources: readonly (AbortSignal | undefined)[]): Linked {
  const controller = new AbortController();
  const listening: (() => void)[] = [];
  for (const source of sources) {
    if (source === undefined) continue;
    if (source.aborted) {
      controller.abort(source.reason);
      break;
    }
    const onAbort = (): void => controller.abort(source.reason);
    source.addEventListener("abort", onAbort, { once: true });
    listening.push(() => source.removeEventListener("abort", onAbort));
  }
  return {
    signal: controller.signal,
    unlink: () => {
      for (const stop of listening) stop();
    },
  };
}
