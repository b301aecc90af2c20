// Who may change the tree. Joining refuses a tree that does not protect what is written with credentials, `holdline check --live` reports
// what the credentials may do, and `--mend` gives them what everybody may change. ZooKeeper checks the parent's rights for a delete:
// below a znode that belongs to everybody, anybody can delete a claim, whatever the claim's own rights are.
import { type Finding, reportOf, type StoreReport } from "../../locks/store-report.js";
import type { StoreTime } from "../../locks/coordinator.js";
import { formatDuration } from "../../locks/durations.js";
import { HoldlineError } from "../../locks/errors.js";
import { toHoldlineError, describeRefusal } from "./wire/errors.js";
import type { Layout } from "./layout.js";
import type { ZkSession } from "./session.js";
import type { Right } from "./wire/messages.js";
import { MODE, op, type Step, WireError, ZK } from "./wire/protocol.js";
import { examineIdentity, schemesOf } from "./identity.js";
import { inRounds, listPaths, unlessForbidden } from "./reads.js";
import { isIdentified } from "./wire/access.js";
import { sync } from "./writes.js";
import type { ZooKeeperAddress } from "./url.js";
import type { Wire } from "./wire/wire.js";

// ZooKeeper's bits for write, create, delete and admin: all but read.
const CHANGES = 2 + 4 + 8 + 16;

const MOST_FOUND = 10_000;

export class Permissions {
  readonly #layout: Layout;
  readonly #hasCredentials: boolean;
  /** The znodes that were found to be protected, in each session. */
  readonly #found = new WeakMap<ZkSession, Set<string>>();

  /** @param hasCredentials without them there is nothing to protect */
  constructor(layout: Layout, hasCredentials: boolean) {
    this.#layout = layout;
    this.#hasCredentials = hasCredentials;
  }

  /**
   * Refuses a tree in which others than the URL's credentials may change the queues. Asks about each znode once in a session, in the same
   * turn as the caller's own requests.
   * @returns whether all znodes existed. The caller has to ask again once it has made those that did not
   * @throws HoldlineError `configuration`, with the znodes and what to do
   */
  async requireProtected(session: ZkSession, locks: readonly string[]): Promise<boolean> {
    if (!this.#hasCredentials) return true;
    const found = this.#found.get(session) ?? new Set<string>();
    this.#found.set(session, found);
    const { root, locks: folder, alive, history, clock, documents } = this.#layout;
    const folders = new Set(locks.flatMap((lock) => this.#layout.foldersOf(lock)));
    const paths = [root, folder, alive, history, clock, documents, ...folders].filter((path) => !found.has(path));
    const rights = await Promise.all(paths.map((path) => session.wire.getRights(path)));
    const open = paths.filter((_, index) => rights[index]?.some(isOpenToEverybody) === true);
    if (open.length > 0) throw refusal(open);
    // The clock and documents are made when they are first needed, by this session or by one that checks them as well.
    const isSettled = (path: string, index: number): boolean => rights[index] !== null || path === clock || path === documents;
    for (const [index, path] of paths.entries()) if (isSettled(path, index)) found.add(path);
    // A process that runs for years sees locks without end, and most of their folders are gone.
    if (found.size > MOST_FOUND) found.clear();
    return paths.every(isSettled);
  }
}

/** Whether everybody may change a znode with this line in its ACL. */
function isOpenToEverybody({ permissions, scheme, id }: Right): boolean {
  return scheme === "world" && id === "anyone" && (permissions & CHANGES) !== 0;
}

const MEND_HINT =
  "give the tree to the credentials: holdline check --live --mend, when all nodes have them in their URL; or name another root";

function refusal(open: readonly string[]): HoldlineError {
  return new HoldlineError(
    "configuration",
    `the coordinator URL has credentials, but everybody may change ${open.join(", ")}: anybody could delete a claim there`,
    { hint: MEND_HINT },
  );
}

/** The ensemble and the tree as this session finds them: the rights, the session timeout, the servers' clock. Safe to repeat. */
export async function examine(
  wire: Wire,
  layout: Layout,
  address: ZooKeeperAddress,
  wantedTimeoutMs: number,
): Promise<StoreReport> {
  const sentAt = performance.now();
  await wire.confirm();
  const latencyMs = performance.now() - sentAt;
  const [{ time, now }, refused, open] = await Promise.all([
    askTime(wire, layout),
    refusals(wire, layout),
    openPaths(wire, layout),
  ]);
  const identity = await examineIdentity(wire, address);
  return reportOf(
    {
      kind: "zookeeper",
      version: null,
      servers: address.servers.map(({ host, port }) => `${host}:${port}`),
      facts: {
        root: layout.root,
        credentials: schemesOf(address).join(", ") || "none",
        ...identity.facts,
        mayBeChangedBy: open.length > 0 || !isIdentified(address) ? "everybody" : "the URL's credentials",
        sessionTimeoutMs: wire.sessionTimeoutMs,
      },
      findings: [
        ...identity.findings,
        ...refused,
        ...openFindings(open, address),
        ...timeoutFindings(wire.sessionTimeoutMs, wantedTimeoutMs),
      ],
    },
    { latencyMs, durability: "quorum", time, now },
  );
}

function timeoutFindings(grantedMs: number, wantedMs: number): Finding[] {
  if (grantedMs === wantedMs) return [];
  const message = `the servers grant a session timeout of ${formatDuration(grantedMs)}, not the ${formatDuration(wantedMs)} of \`session_timeout\``;
  const hint = "their minSessionTimeout and maxSessionTimeout bound it: 2 and 20 of their ticks, where nothing else is set";
  return [{ severity: "warning", code: "configuration", message, hint }];
}

function openFindings(open: readonly string[], address: ZooKeeperAddress): Finding[] {
  if (!isIdentified(address)) {
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

/** The servers' time and this machine's at the same moment; the former `null` where no clock was ever asked, or may not be. */
async function askTime(wire: Wire, layout: Layout): Promise<{ readonly time: StoreTime | null; readonly now: number }> {
  const isThere = (await wire.exists(layout.clock)) !== null;
  const askedAt = Date.now();
  // `refusals` reports the case that this is forbidden.
  const time = isThere ? await unlessForbidden(sync(wire, layout)) : null;
  return { time, now: (askedAt + Date.now()) / 2 };
}

// No znode has been written so often. A transaction that demands this version is refused, but only after all its other steps were allowed.
const NO_VERSION = 2_147_483_646;
const PROBE = "holdline-check";

/** Tries everything that a run creates and removes, each in a transaction that cannot succeed, and reports what the server forbids. */
async function refusals(wire: Wire, { root, locks, alive, history, clock, documents }: Layout): Promise<Finding[]> {
  const isThere = async (path: string): Promise<boolean> => (await wire.exists(path)) !== null;
  const tried: { readonly what: string; readonly steps: readonly Step[]; readonly path: string }[] = [];
  for (const [what, folder] of [
    ["join a line", locks],
    ["show that a claim is being run", alive],
    ["write the history", history],
    ["say what became of this node", documents],
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
        return [
          { severity: "error", code: "not-allowed", message: `may not ${what} below ${path}: ${describeRefusal(error)}`, hint },
        ];
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

/** All of Holdline's znodes that everybody may change, sorted; other clients' claims count too. */
async function openPaths(wire: Wire, layout: Layout): Promise<string[]> {
  const paths = await listPaths(wire, layout);
  const rights = await inRounds(paths, (path) => unlessForbidden(wire.getRights(path)));
  return paths.filter((_, index) => rights[index]?.some(isOpenToEverybody) === true).sort();
}

// Meanwhile a client without credentials may make one more znode for everybody in a folder that is still open.
const MOST_PASSES = 3;

/** Gives everything that everybody may change to the session's credentials. @returns the paths that it has changed, sorted */
export async function mend(wire: Wire, layout: Layout, address: ZooKeeperAddress): Promise<readonly string[]> {
  if (!isIdentified(address)) {
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
        cause: toHoldlineError(first.error),
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
