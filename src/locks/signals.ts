// Abort signals that depend on others for a while. `AbortSignal.any` keeps something for each of its results as long as its
// sources live, which adds up in a wait that goes on for days.

/** A signal that is aborted with the first of its sources, and what makes it independent of them again. */
export interface Linked {
  readonly signal: AbortSignal;
  readonly unlink: () => void;
}

/** Aborted as soon as one of the sources is, with that one's reason. Whoever links must unlink. */
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
