// The only wiring: makes of a command line's flags what the command works with. Whatever it opens pushes its closer, and the
// closers run last first. What is decided, is decided in the rooms.
import type { GuardContext } from "./actions/context.js";
import type { MachineOptions } from "./actions/host.js";
import { readMachineIdentity } from "./actions/state/machine-identity.js";
import type { Agent, Context, ContextRequest, GlobalFlags } from "./cli/context.js";
import { openReporter } from "./cli/progress.js";
import { loadSettings } from "./config/load.js";
import { localOnlyNotice } from "./config/local-only.js";
import { coordinatorsInForce, settingsOfLock } from "./config/locks.js";
import type { SettingPath } from "./config/schema.js";
import { redactUrl } from "./config/secrets.js";
import { storeOptions } from "./config/store-options.js";
import type { Settings } from "./config/settings.js";
import { isNobodysName, surroundingsHere } from "./config/surroundings.js";
import { missingDatabase, missingFolder, openCoordinator } from "./coordinators/registry.js";
import { isEmbedded, isReachedByOthers } from "./coordinators/urls.js";
import type { HandedDown } from "./handed-down.js";
import { createClock } from "./line/clock.js";
import { createPerspective } from "./line/perspective.js";
import { createProcessSight } from "./line/process-sight.js";
import type { Progress } from "./line/progress.js";
import type { Coordinator } from "./locks/coordinator.js";
import type { Log } from "./locks/log.js";
import { bestEffort, HoldlineError } from "./locks/errors.js";
import { openMoves } from "./moves.js";
import type { Notifier } from "./locks/notifier.js";
import { openNotifier } from "./notify/notifier.js";
import { VERSION } from "./version.js";

export type RuntimeRequest = ContextRequest & { readonly handedDown: HandedDown };

/** Makes the context of one command, lets `use` work with it, and closes it. */
export async function withContext<T>(request: RuntimeRequest, use: (context: Context) => Promise<T>): Promise<T> {
  const { flags, stop } = request;
  const settings = await loadSettings({ config: flags.config, flags: settingsIn(flags), surroundings: surroundingsHere() });
  const reporter = openReporter({ ...settings.log, node: settings.node, io: request.io });
  const { log, progress } = reporter;
  const notifier = openNotifier(settings.notify, { log });
  // The notifier after the stores: no queue waits for a receiver.
  const closers: Closer[] = [() => reporter.close(), () => notifier.close()];
  try {
    if (flags.coordinator !== null && redactUrl(flags.coordinator) !== flags.coordinator) log.warn({}, PASSWORD_WARNING);
    for (const warning of settings.passedOver ?? []) log.warn({}, warning);
    const stores = openStores(settings, request, log, closers);
    const processes = createProcessSight();
    const perspective = createPerspective({ node: settings.node, machineOn: machineOn(settings), processes });
    return await use({
      settings,
      io: reporter.io,
      json: flags.json,
      verbose: flags.verbose,
      log,
      notifier,
      stop,
      perspective,
      coordinator: (lock) => stores.of(lock),
      coordinators: () => Promise.all(coordinatorsInForce(settings).map((url) => stores.at(url))),
      async commandPids(claim) {
        const { pidsOfCommand } = await import("./actions/orphans.js");
        const action = settings.actions.find(({ name }) => name === claim.owner.action);
        const service = action?.mode === "serialize_process" ? action.process : null;
        return pidsOfCommand(claim, { stateDir: settings.stateDir, service, log });
      },
      leases: async (lock) => ({
        coordinator: await stores.toTake(lock),
        node: settings.node,
        subject: { node: settings.node, group: settings.group },
        clock: createClock(),
        progress,
        process: processes.self,
        sleepTimeMs: settings.acquire.sleepTimeMs,
        perspective,
        signal: stop.signal,
      }),
      agent: () => openAgent(request, { settings, stores, log, notifier, progress }),
      upkeep: {
        async examine(url) {
          const missing = await missingDatabase(url);
          if (missing !== null) return missing;
          return (await (await stores.at(url)).examine?.(stop.signal)) ?? { facts: {}, findings: [] };
        },
        mend: async (url) => (await (await stores.at(url)).mend?.(stop.signal)) ?? null,
        tidy: async (url) => (await (await stores.at(url)).tidy?.(stop.signal)) ?? null,
      },
      moving: openMoves(settings, log, stop.signal, closers),
    });
  } finally {
    for (const close of closers.reverse()) await bestEffort(log, "something was not closed", close);
  }
}

type Closer = () => Promise<void>;

// boot.ts overwrites the process's title. Until then, while node itself starts, the title shows every word.
const PASSWORD_WARNING =
  "other users of this machine could read the password in --coordinator until holdline had started; put it into the environment variable HOLDLINE_COORDINATOR, or into `coordinator` in a configuration file that only you can read";

/** What flags say of settings. */
function settingsIn({ coordinator, quiet, verbose }: GlobalFlags): ReadonlyMap<SettingPath, string> {
  const said = new Map<SettingPath, string>();
  if (coordinator !== null) said.set("coordinator", coordinator);
  if (quiet) said.set("log.level", "error");
  if (verbose) said.set("log.level", "debug");
  return said;
}

/** This machine as claims on a lock carry it; `null` where the lock's store is this machine's alone. */
function machineOn(settings: Settings): (lock: string) => string | null {
  let machine: string | undefined;
  return (lock) => {
    // This answers at once and opens no store, so it goes by the URL and not by `isShared`.
    if (isEmbedded(settingsOfLock(settings, lock).coordinator)) return null;
    return (machine ??= readMachineIdentity(settings.stateDir));
  };
}

/** The stores of the configuration. Each is opened with the first call for it. */
interface OpenStores {
  /** The store at a URL. */
  at(url: string): Promise<Coordinator>;
  /** The store of a lock's queue. */
  of(lock: string): Promise<Coordinator>;
  /**
   * The store of a lock's queue, for a command that takes the lock.
   * @throws HoldlineError `configuration` when other nodes may have this node's name
   */
  toTake(lock: string): Promise<Coordinator>;
}

function openStores(
  settings: Settings,
  { command, makesStore }: Pick<ContextRequest, "command" | "makesStore">,
  log: Log,
  closers: Closer[],
): OpenStores {
  const opened = new Map<string, Promise<Coordinator>>();
  const open = async (url: string): Promise<Coordinator> => {
    const isNamed = makesStore && settings.origins?.get("coordinator") !== "default";
    const folder = isNamed ? await missingFolder(url) : null;
    const coordinator = await openCoordinator(url, { ...storeOptions(settings, log), isAsFound: !makesStore });
    closers.push(() => coordinator.close());
    if (folder !== null) log.warn({}, `the database's folder ${folder} was missing and has been created; is its path right?`);
    const notice = makesStore ? localOnlyNotice(settings, url, command) : null;
    if (notice !== null) log.warn({}, notice);
    return coordinator;
  };
  const at = (url: string): Promise<Coordinator> => {
    const opening = opened.get(url) ?? open(url);
    opened.set(url, opening);
    return opening;
  };
  const urlOf = (lock: string): string => settingsOfLock(settings, lock).coordinator;
  return {
    at,
    of: (lock) => at(urlOf(lock)),
    async toTake(lock) {
      if (isNobodysName(settings.node) && isReachedByOthers(urlOf(lock))) {
        throw new HoldlineError(
          "configuration",
          `this node is called ${settings.node}, as any other may be, and the store is shared`,
          {
            hint: "give the node a name of its own: set `node` in the configuration, or HOLDLINE_NODE",
          },
        );
      }
      return at(urlOf(lock));
    },
  };
}

interface AgentParts {
  readonly settings: Settings;
  readonly stores: OpenStores;
  readonly log: Log;
  readonly notifier: Notifier;
  readonly progress: Progress;
}

async function openAgent(
  { flags, command, stop, handedDown }: RuntimeRequest,
  { settings, stores, log, notifier, progress }: AgentParts,
): Promise<Agent> {
  const [{ beginGuarded, endGuarded, runGuarded }, { openMachine, openStatelessMachine }, { execute }, { openNodeMemory }] =
    await Promise.all([
      import("./actions/run.js"),
      import("./actions/host.js"),
      import("./actions/exec.js"),
      import("./actions/state/node-memory.js"),
    ]);
  const { node, group, principal, stateDir, membershipMs, releaseTimeoutMs } = settings;
  const withMachine = <M>(open: (options: MachineOptions) => M) => {
    // Where standard output belongs to a document, or to the id that `begin` prints, what commands print goes to standard error.
    const stdout = flags.json || command === "begin" ? process.stderr : process.stdout;
    const machine = open({ stateDir, node, log, handedDown, stdout });
    return {
      node,
      group,
      principal,
      releaseTimeoutMs,
      machine,
      progress,
      log,
      notifier,
      stop,
      coordinator: (lock: string) => stores.toTake(lock),
    };
  };
  let guard: GuardContext | undefined;
  const declared = new Set(settings.actions.map(({ name }) => name));
  const fleet = { version: VERSION, membershipMs, declared, memory: openNodeMemory(stateDir) };
  const guarded = (): GuardContext => (guard ??= { ...withMachine(openMachine), fleet });
  // Who only looks takes no lock, and may do so under any name.
  const looking = (): GuardContext => ({ ...guarded(), coordinator: (lock) => stores.of(lock) });
  return {
    async run(action, orders) {
      if (!settings.skipCoordination) return runGuarded(action, guarded(), orders);
      const { runUncoordinated } = await import("./actions/uncoordinated.js");
      return runUncoordinated(action, guarded(), orders);
    },
    async begin(action, orders, pid) {
      demandCoordination(settings);
      const { callerOf } = await import("./actions/caller.js");
      return beginGuarded(action, guarded(), orders, callerOf(pid));
    },
    async end(action, failed) {
      demandCoordination(settings);
      return endGuarded(action, guarded(), failed);
    },
    async dryRun(action, orders) {
      const [{ dryRun }, { openMachineToLook }] = await Promise.all([import("./actions/dry-run.js"), import("./actions/host.js")]);
      const { coordinator: url } = settingsOfLock(settings, action.lock);
      const isThere = !settings.skipCoordination && (await missingDatabase(url)) === null;
      const coordinator = isThere ? await stores.toTake(action.lock) : null;
      return dryRun(action, { ...withMachine(openMachineToLook), coordinator, orders, isCoordinated: !settings.skipCoordination });
    },
    async resume(only) {
      const { resumeAll, resumeSome } = await import("./actions/resuming.js");
      if (only.length > 0) return { results: await resumeSome(only, guarded()), undeclared: [], execs: [] };
      const searched = coordinatorsInForce(settings).map((url) => ({
        open: async () => ((await missingDatabase(url)) === null ? stores.at(url) : null),
        isFor: (lock: string) => settingsOfLock(settings, lock).coordinator === url,
      }));
      return resumeAll(settings.actions, searched, guarded());
    },
    pending: async () => (await import("./actions/pending.js")).whatIsLeft(settings.actions, looking()),
    async drop(name) {
      const lock = settings.actions.find((action) => action.name === name)?.lock ?? null;
      return (await import("./actions/pending.js")).dropAttempts(name, lock, looking());
    },
    async tryOut(action, runsCheck) {
      const [{ tryAction }, { createCommands }, { createProcesses }] = await Promise.all([
        import("./actions/trial.js"),
        import("./actions/commands/command.js"),
        import("./actions/processes.js"),
      ]);
      const machine = { clock: createClock(), commands: createCommands({ log, handedDown }), processes: createProcesses() };
      return tryAction(action, { machine, node, stop, progress, runsCheck });
    },
    exec: (spec) => execute(spec, { ephemeral: () => withMachine(openStatelessMachine), durable: guarded }),
  };
}

/** @throws HoldlineError `configuration`, since there would be no claim to hold */
function demandCoordination({ skipCoordination }: Settings): void {
  if (skipCoordination)
    throw new HoldlineError("configuration", "skip_coordination is set, and without a lock nothing can be begun");
}
