// What is to be said of an ensemble and of the tree on it: who may change it, whether these credentials may do all that runs need,
// how far the servers' clock is from this machine's. And the one thing that can be mended: a tree that everybody may change.
import type { Finding, StoreReport } from "../../locks/coordinator.js";
import { formatDuration } from "../../locks/durations.js";
import { HoldlineError } from "../../locks/errors.js";
import { fromWire, wordsOf } from "./failures.js";
import type { Layout } from "./layout.js";
import { MODE, op, type Step, WireError, ZK } from "./protocol.js";
import { inRounds, listPaths, unlessForbidden } from "./tree.js";
import { isEverybodys, MEND_HINT } from "./trust.js";
import { readClock } from "./upkeep.js";
import type { ZooKeeperAddress } from "./url.js";
import type { Wire } from "./wire.js";

/** What is asked of one session. Safe to repeat. */
export async function examine(
  wire: Wire,
  layout: Layout,
  address: ZooKeeperAddress,
  wantedTimeoutMs: number,
): Promise<StoreReport> {
  const sentAt = performance.now();
  await wire.confirm();
  const roundTripMs = performance.now() - sentAt;
  const [differenceMs, refused, open] = await Promise.all([
    clockDifferenceMs(wire, layout),
    refusals(wire, layout),
    openPaths(wire, layout),
  ]);
  const isAnybodys = open.length > 0;
  return {
    facts: {
      kind: "zookeeper",
      servers: address.servers.length,
      root: layout.root,
      credentials: address.credentials === null ? "none" : "digest",
      "may be changed by":
        isAnybodys || address.credentials === null
          ? "everybody"
          : refused.length > 0
            ? "not all of it by the URL's credentials"
            : "the URL's credentials",
      "session timeout": `${wire.sessionTimeoutMs} ms`,
      "round trip": `${Math.round(roundTripMs * 10) / 10} ms`,
      ...(differenceMs === null ? {} : { "clock difference": `${Math.round(differenceMs)} ms` }),
    },
    findings: [...refused, ...openFindings(open, address), ...timeoutFindings(wire.sessionTimeoutMs, wantedTimeoutMs)],
  };
}

function timeoutFindings(grantedMs: number, wantedMs: number): Finding[] {
  if (grantedMs === wantedMs) return [];
  const message = `the servers grant a session timeout of ${formatDuration(grantedMs)}, not the ${formatDuration(wantedMs)} of \`session_timeout\``;
  const hint = "their minSessionTimeout and maxSessionTimeout bound it: 2 and 20 of their ticks, where nothing else is set";
  return [{ severity: "warning", code: "configuration", message, hint }];
}

function openFindings(open: readonly string[], { credentials }: ZooKeeperAddress): Finding[] {
  if (credentials === null) {
    return [
      {
        severity: "warning",
        code: "configuration",
        message: "the coordinator URL has no credentials: everybody who reaches the servers may change and remove claims",
        hint: "give credentials in the URL, zookeeper://user:password@host:2181/holdline, on every node",
      },
    ];
  }
  if (open.length === 0) return [];
  const message = `the coordinator URL has credentials, but everybody may change ${some(open)}: anybody could delete a claim there`;
  return [{ severity: "error", code: "configuration", message, hint: MEND_HINT }];
}

/** How far the servers' clock is ahead of this machine's; `null` where no clock was ever asked, or may not be. */
async function clockDifferenceMs(wire: Wire, layout: Layout): Promise<number | null> {
  if ((await wire.exists(layout.clock)) === null) return null;
  const before = Date.now();
  // `refusals` says where that is forbidden.
  const time = await unlessForbidden(readClock(wire, layout));
  return time === null ? null : time - (before + Date.now()) / 2;
}

// No znode has been written so often: a transaction that demands it is refused after all its other steps were allowed.
const NO_VERSION = 2_147_483_646;
const PROBE = "holdline-check";

/** Everything that runs create and remove, each tried in a transaction that cannot succeed. */
async function refusals(wire: Wire, { root, locks, alive, history, clock }: Layout): Promise<Finding[]> {
  const isThere = async (path: string): Promise<boolean> => (await wire.exists(path)) !== null;
  const tried: { readonly what: string; readonly steps: readonly Step[]; readonly path: string }[] = [];
  for (const [what, folder] of [
    ["join a line", locks],
    ["show that a claim is being run", alive],
    ["write the history", history],
  ] as const) {
    if (!(await isThere(folder))) continue;
    const probe = `${folder}/${PROBE}`;
    tried.push({ what, path: folder, steps: [op.create(probe, Buffer.alloc(0), MODE.PERSISTENT), op.remove(probe)] });
  }
  if (await isThere(clock))
    tried.push({ what: "ask the store's clock", path: clock, steps: [op.setData(clock, Buffer.alloc(0), -1)] });
  const above = await nearestThere(root, isThere);
  if (tried.length === 0) {
    const probe = `${above === "/" ? "" : above}/${PROBE}`;
    tried.push({
      what: "make the tree",
      path: above,
      steps: [op.create(probe, Buffer.alloc(0), MODE.PERSISTENT), op.remove(probe)],
    });
  }
  const findings = await Promise.all(
    tried.map(async ({ what, path, steps }): Promise<Finding[]> => {
      try {
        await wire.transaction([...steps, op.check(path, NO_VERSION)]);
      } catch (error) {
        if (!(error instanceof WireError) || error.operation === null) throw error;
        if (error.operation === steps.length || error.zk === ZK.nodeExists) return [];
        const hint =
          "are the user and the password in the coordinator URL right? See the rights of that znode (getAcl in zkCli.sh)";
        return [{ severity: "error", code: "not-allowed", message: `may not ${what} below ${path}: ${wordsOf(error)}`, hint }];
      }
      return [];
    }),
  );
  return findings.flat();
}

async function nearestThere(path: string, isThere: (path: string) => Promise<boolean>): Promise<string> {
  let above = path;
  while (above !== "" && !(await isThere(above))) above = above.slice(0, above.lastIndexOf("/"));
  return above === "" ? "/" : above;
}

/** All znodes of ours that everybody may change, sorted. Those of other clients too: they hold claims. */
async function openPaths(wire: Wire, layout: Layout): Promise<string[]> {
  const paths = await listPaths(wire, layout);
  const rights = await inRounds(paths, (path) => unlessForbidden(wire.getRights(path)));
  return paths.filter((_, index) => rights[index]?.some(isEverybodys) === true).sort();
}

// While it is mended, a client without credentials may make one more znode for everybody in a folder that is still open.
const MOST_PASSES = 3;

/** Gives all that everybody may change to the session's credentials. Gives what it has changed, sorted. */
export async function mend(wire: Wire, layout: Layout, { credentials }: ZooKeeperAddress): Promise<readonly string[]> {
  if (credentials === null) {
    throw new HoldlineError("configuration", "the coordinator URL has no credentials that the tree could be given to", {
      hint: "name them in the URL: zookeeper://user:password@host:2181/holdline",
    });
  }
  const mended = new Set<string>();
  for (let pass = 1; pass <= MOST_PASSES; pass += 1) {
    const open = await openPaths(wire, layout);
    if (open.length === 0) break;
    const refused: { readonly path: string; readonly error: WireError }[] = [];
    await inRounds(open, async (path) => {
      try {
        if (await wire.takeRights(path)) mended.add(path);
      } catch (error) {
        if (!(error instanceof WireError) || error.zk !== ZK.noAuth) throw error;
        refused.push({ path, error });
      }
    });
    const [first] = refused;
    if (first !== undefined) {
      const done = mended.size === 0 ? "" : `; ${mended.size} others were`;
      throw new HoldlineError("not-allowed", `the rights of ${some(refused.map(({ path }) => path))} could not be changed${done}`, {
        hint: "who has admin rights there, or the servers' superuser, has to do it: setAcl in zkCli.sh",
        cause: fromWire(first.error),
      });
    }
  }
  return [...mended].sort();
}

const SHOWN = 5;

function some(paths: readonly string[]): string {
  const more = paths.length - SHOWN;
  return `${paths.slice(0, SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
