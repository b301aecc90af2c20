// Turns signals into stop requests: the first one ends every wait, and a running command gets each of them.
import { setMaxListeners } from "node:events";
import { constants } from "node:os";
import { InterruptedError } from "../actions/stop.js";
import type { StopRequests } from "../actions/stop.js";

/** The part of `process` that this needs, so that a test can replace it. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}

// A terminal that hangs up ends a run, as an operator does.
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

// Ctrl-Z does nothing: a stopped agent could not end its command when its session is lost.
const IGNORED = "SIGTSTP";

/**
 * Listens for signals until it is closed.
 * @param ignored the numbers of signals that the caller ignores, as under `nohup`: they are no requests
 */
export function openStopRequests(source: SignalSource, ignored: readonly number[] = []): StopRequests & { close(): void } {
  const controller = new AbortController();
  // Every pending request to a store listens, so many listeners are no leak.
  setMaxListeners(Number.POSITIVE_INFINITY, controller.signal);
  const listeners = new Set<(signal: NodeJS.Signals) => void>();
  const onSignal = (signal: NodeJS.Signals) => {
    controller.abort(new InterruptedError(signal));
    for (const listener of [...listeners]) listener(signal);
  };
  const onIgnored = () => undefined;
  const isIgnored = (signal: NodeJS.Signals): boolean => ignored.includes(constants.signals[signal]);
  const listening = [
    ...SIGNALS.map((signal) => [signal, isIgnored(signal) ? onIgnored : onSignal] as const),
    [IGNORED, onIgnored] as const,
  ];
  for (const [signal, listener] of listening) source.on(signal, listener);
  return {
    signal: controller.signal,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      for (const [signal, listener] of listening) source.off(signal, listener);
    },
  };
}
