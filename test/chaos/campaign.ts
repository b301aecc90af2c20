// One chaos campaign: a store with real servers, a fleet of real agents, a nemesis, and the verdict over what happened.
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { openCoordinator } from "../../src/coordinators/registry.js";
import { reasonNotToMount } from "../support/small-disk.js";
import type { NemesisStore } from "./faults.js";
import { ChaosFleet, LOCKS } from "./fleet.js";
import { Nemesis } from "./nemesis.js";
import { judgeHistory, judgeLock, judgeTold, parseLog } from "./verdict.js";

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

// After the nemesis has stopped: every session that it left behind has ended by then, every agent had its turn.
const FINISH_MS = 180_000;

export interface Report {
  readonly minutes: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly actionsRun: number;
  readonly exitCodes: Readonly<Record<string, number>>;
  readonly longestStuckMs: number;
  readonly violations: readonly string[];
  /** What this machine could not do, in words. */
  readonly leftOut: readonly string[];
  /** The folder with the logs of actions, agents, servers and the nemesis, when something was wrong. */
  readonly evidence: string | null;
}

export interface CampaignOptions {
  readonly minutes: number;
  readonly nodes: number;
  /** Starts the store; the campaign closes it. */
  readonly openStore: () => Promise<NemesisStore>;
}

export async function campaign({ minutes, nodes, openStore }: CampaignOptions): Promise<Report> {
  const directory = mkdtempSync(join(tmpdir(), "holdline-chaos-"));
  const store = await openStore();
  const noDisk = reasonNotToMount();
  const fleet = new ChaosFleet({ directory, nodes, urlOf: (index) => store.urlOf(index), smallDisk: noDisk === null });
  const nemesis = new Nemesis({ store, fleet, diary: join(directory, "nemesis.log") });
  const violations = fleet.violations;
  const stop = new AbortController();
  const stuck = watchProgress(fleet, stop.signal);
  try {
    const living = fleet.run();
    const over = AbortSignal.timeout(minutes * 60_000);
    await nemesis.rage(over);
    fleet.finish();
    const late = new AbortController();
    const finished = await Promise.race([
      living.then(() => true),
      pause(FINISH_MS, false, { signal: late.signal }).catch(() => false),
    ]);
    late.abort();
    stop.abort();
    if (!finished) violations.push(`the fleet did not finish within ${FINISH_MS} ms after the nemesis had stopped`);
    violations.push(...(await judgeStore(store.url, fleet, finished)));
  } catch (error) {
    throw new Error(`the campaign broke off; all that was written down is in ${directory}`, { cause: error });
  } finally {
    stop.abort();
    fleet.killAll();
    fleet.close();
    store.logs.forEach((log, index) => {
      if (existsSync(log)) cpSync(log, join(directory, `server-${index}-${basename(log)}`));
    });
    await store.close();
  }
  const text = fleet.lines();
  const lines = parseLog(text);
  for (const lock of LOCKS) violations.push(...judgeLock(lock, lines));
  violations.push(...judgeTold(fleet.told, lines));
  if (violations.length > 0) writeFileSync(join(directory, "violations"), violations.join("\n"));
  else rmSync(directory, { recursive: true, force: true });
  return {
    minutes,
    faults: Object.fromEntries(nemesis.injected),
    actionsRun: lines.filter(({ what }) => what === "start").length,
    exitCodes: Object.fromEntries(fleet.codes),
    longestStuckMs: Math.round(await stuck),
    violations,
    leftOut: noDisk === null ? [] : [`no disk was filled: ${noDisk}`],
    evidence: violations.length > 0 ? directory : null,
  };
}

/** Judges the store at the end: no claim is left, and the history has the end of every claim once. */
async function judgeStore(url: string, fleet: ChaosFleet, finished: boolean): Promise<string[]> {
  const options = { connectTimeoutMs: 30_000, sessionTimeoutMs: 10_000, historyKeep: 100_000, sleepTimeMs: 250, log: SILENT };
  const coordinator = await openCoordinator(url, options);
  try {
    const violations: string[] = [];
    for (const lock of finished ? await coordinator.list() : []) {
      const claims = await coordinator.queue(lock);
      for (const { id, owner, durable } of claims)
        violations.push(`${lock}: ${durable ? "durable" : "ephemeral"} claim ${id} of ${owner.node} is left`);
    }
    if (finished) violations.push(...judgeHistory(LOCKS, parseLog(fleet.lines()), await coordinator.history(null, 1_000_000)));
    return violations;
  } finally {
    await coordinator.close();
  }
}

/** The longest time in which the whole fleet wrote nothing. */
async function watchProgress(fleet: ChaosFleet, signal: AbortSignal): Promise<number> {
  let longest = 0;
  let length = 0;
  let since = performance.now();
  while (!signal.aborted) {
    await pause(200, undefined, { signal }).catch(() => undefined);
    const now = fleet.lines().length;
    longest = Math.max(longest, performance.now() - since);
    if (now !== length) since = performance.now();
    length = now;
  }
  return longest;
}
