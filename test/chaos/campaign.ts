// One chaos campaign: a real ensemble of three, a fleet of real agents, a nemesis, and the verdict over what happened.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { openZooKeeper } from "../../src/coordinators/zookeeper/index.js";
import { startLinkedEnsemble } from "../support/ensemble-links.js";
import { type FaultProxy, openFaultProxy } from "../support/fault-proxy.js";
import { reasonNotToMount } from "../support/small-disk.js";
import { ChaosFleet, LOCKS } from "./fleet.js";
import { Nemesis } from "./nemesis.js";
import { judgeHistory, judgeLock, judgeTold, parseLog } from "./verdict.js";

const ROOT = "/chaos";
const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

// Servers that look for a leader ask each other ever more rarely, by default once a minute at last, and wait 5 s for one
// that is frozen: the fleet would be idle for most of the time.
const QUICK_ELECTIONS = { "zookeeper.fastleader.maxNotificationInterval": "1000", "zookeeper.cnxTimeout": "1000" };

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

export async function campaign(options: { readonly minutes: number; readonly nodes: number }): Promise<Report> {
  const directory = mkdtempSync(join(tmpdir(), "holdline-chaos-"));
  const ensemble = await startLinkedEnsemble({ properties: QUICK_ELECTIONS });
  const proxies: FaultProxy[] = [await openFaultProxy(...ensemble.servers), await openFaultProxy(...ensemble.servers)];
  const urlOf = (index: number): string => `zookeeper://${(proxies[index % proxies.length] as FaultProxy).address}${ROOT}`;
  const noDisk = reasonNotToMount();
  const fleet = new ChaosFleet({ directory, nodes: options.nodes, urlOf, smallDisk: noDisk === null });
  const nemesis = new Nemesis({ ensemble, proxies, fleet, root: ROOT, diary: join(directory, "nemesis.log") });
  const violations = fleet.violations;
  const stop = new AbortController();
  const stuck = watchProgress(fleet, stop.signal);
  try {
    const living = fleet.run();
    const over = AbortSignal.timeout(options.minutes * 60_000);
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
    violations.push(...(await judgeStore(ensemble.address, fleet, finished)));
  } catch (error) {
    throw new Error(`the campaign broke off; all that was written down is in ${directory}`, { cause: error });
  } finally {
    stop.abort();
    fleet.killAll();
    fleet.close();
    for (const proxy of proxies) await proxy.close();
    ensemble.servers.forEach((server, index) =>
      cpSync(join(server.directory, "zookeeper.log"), join(directory, `server-${index}.log`)),
    );
    await ensemble.close();
  }
  const text = fleet.lines();
  const lines = parseLog(text);
  for (const lock of LOCKS) violations.push(...judgeLock(lock, lines));
  violations.push(...judgeTold(fleet.told, lines));
  if (violations.length > 0) writeFileSync(join(directory, "violations"), violations.join("\n"));
  else rmSync(directory, { recursive: true, force: true });
  return {
    minutes: options.minutes,
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
async function judgeStore(address: string, fleet: ChaosFleet, finished: boolean): Promise<string[]> {
  const options = { connectTimeoutMs: 30_000, sessionTimeoutMs: 10_000, historyKeep: 100_000, sleepTimeMs: 250, log: SILENT };
  const coordinator = await openZooKeeper(`zookeeper://${address}${ROOT}`, options);
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
