// What a store is opened with, as the settings say it.
import type { CoordinatorOptions } from "../locks/coordinator.js";
import type { Log } from "../locks/log.js";
import type { Settings } from "./settings.js";

export function storeOptions(settings: Settings, log: Log): CoordinatorOptions {
  return {
    connectTimeoutMs: settings.connectTimeoutMs,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    historyKeep: settings.history.keep,
    historyForMs: settings.history.forMs ?? Number.POSITIVE_INFINITY,
    historyTotal: settings.history.total,
    sleepTimeMs: settings.acquire.sleepTimeMs,
    log,
  };
}
