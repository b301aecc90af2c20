// The engine's time in a real process.
import { uptimeMs } from "../uptime.js";
import type { Timers } from "./asking.js";

export function systemTimers(): Timers {
  return {
    uptimeMs,
    after: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  };
}
