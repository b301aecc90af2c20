// SIGINT and SIGTERM as stop requests: the first ends every wait, and each is passed on to a running command.
import { setMaxListeners } from "node:events";
import { constants } from "node:os";
import { InterruptedError } from "../actions/stop.js";
import type { StopRequests } from "../actions/stop.js";

/** The part of `process` that is needed, so that a test can be another. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}

// A dropped terminal ends a run as an operator's word does.
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

// Stopped, an agent could not end its command when its session is lost: Ctrl-Z does nothing.
const IGNORED = "SIGTSTP";

/**
 * Listens until it is closed.
 * @param ignored the numbers of signals that the caller has had ignored, as `nohup` does: they are no requests
 */
export function openStopRequests(source: SignalSource, ignored: readonly number[] = []): StopRequests & { close(): void } {
  const controller = new AbortController();
  // Whoever waits for anything listens: as many at once as there are questions on their way, which is no leak.
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
