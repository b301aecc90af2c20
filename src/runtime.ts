// The only wiring: settings to coordinator, machine and guarded runs. Whatever it opens pushes its closer, and all are
// closed last first.
import { createClock } from "./line/clock.js";
import { createPerspective } from "./line/perspective.js";
import { createProcessSight } from "./line/process-sight.js";
import type { GuardContext } from "./actions/context.js";
import type { ExecLeft } from "./actions/execs-left.js";
import { readMachineIdentity } from "./actions/machine-identity.js";
import type { MachineOptions } from "./actions/host.js";
import type { Result } from "./actions/result.js";
import type { Agent, Context, ContextRequest, OpenedContext } from "./cli/context.js";
import { openReporter } from "./cli/progress.js";
import { loadSettings } from "./config/load.js";
import { localOnlyNotice } from "./config/local-only.js";
import { coordinatorsInForce, settingsOfLock } from "./config/locks.js";
import type { SettingPath } from "./config/schema.js";
import type { Settings } from "./config/settings.js";
import { redactUrl } from "./config/secrets.js";
import { isNobodysName, surroundingsHere } from "./config/surroundings.js";
import { missingDatabase, missingFolder, openCoordinator } from "./coordinators/registry.js";
import { isReachedByOthers } from "./coordinators/urls.js";
import type { HandedDown } from "./handed-down.js";
import type { Coordinator, CoordinatorOptions } from "./locks/coordinator.js";
import { bestEffort, HoldlineError, messageOf } from "./locks/errors.js";
import { execProgramOf } from "./locks/exec-actions.js";

/** Makes the context of one command. */
export async function openContext({
  flags,
  io,
  stop,
  command,
  makesStore,
  handedDown,
}: ContextRequest & { readonly handedDown: HandedDown }): Promise<OpenedContext> {
  const overrides = new Map<SettingPath, string>();
  if (flags.coordinator !== null) overrides.set("coordinator", flags.coordinator);
  if (flags.quiet) overrides.set("log.level", "error");
  if (flags.verbose) overrides.set("log.level", "debug");
  const settings = await loadSettings({ config: flags.config, flags: overrides, surroundings: surroundingsHere() });

  const closers: (() => Promise<void>)[] = [];
  const reporter = openReporter({ ...settings.log, node: settings.node, io });
  closers.push(() => reporter.close());
  const { log, progress } = reporter;
  if (flags.coordinator !== null && redactUrl(flags.coordinator) !== flags.coordinator) log.warn({}, PASSWORD_WARNING);
  for (const warning of settings.passedOver ?? []) log.warn({}, warning);
  const processes = createProcessSight();
  const perspective = createPerspective({ node: settings.node, machineOn: machineOn(settings), processes });
  const opened = new Map<string, Promise<Coordinator>>();
  const open = (url: string): Promise<Coordinator> => {
    const opening =
      opened.get(url) ??
      openNoted(url, settings, { isAsFound: !makesStore, log }).then((coordinator) => {
        const notice = makesStore ? localOnlyNotice(settings, url, command) : null;
        if (notice !== null) log.warn({}, notice);
        closers.push(() => coordinator.close());
        return coordinator;
      });
    opened.set(url, opening);
    return opening;
  };
  const coordinator = (lock: string): Promise<Coordinator> => open(settingsOfLock(settings, lock).coordinator);
  const coordinatorToAct = (lock: string): Promise<Coordinator> => {
    refuseNobody(settings, settingsOfLock(settings, lock).coordinator);
    return coordinator(lock);
  };
  const context: Context = {
    settings,
    coordinator,
    coordinators: () => Promise.all(coordinatorsInForce(settings).map(open)),
    leases: async (lock) => ({
      coordinator: await coordinatorToAct(lock),
      node: settings.node,
      clock: createClock(),
      progress,
      process: processes.self,
      sleepTimeMs: settings.acquire.sleepTimeMs,
      perspective,
      signal: stop.signal,
    }),
    examineStore: async (url) => {
      const missing = await missingDatabase(url);
      if (missing !== null) return missing;
      const store = await open(url);
      return (await store.examine?.(stop.signal)) ?? { facts: {}, findings: [] };
    },
    tidyStore: async (url) => (await (await open(url)).tidy?.(stop.signal)) ?? null,
    mendStore: async (url) => (await (await open(url)).mend?.(stop.signal)) ?? null,
    log,
    progress,
    io: reporter.io,
    json: flags.json,
    verbose: flags.verbose,
    stop,
    perspective,
    commandPids: async (claim) => {
      const { pidsOfCommand } = await import("./actions/orphans.js");
      const action = settings.actions.find(({ name }) => name === claim.owner.action);
      const service = action?.mode === "serialize_process" ? action.process : null;
      return pidsOfCommand(claim, { stateDir: settings.stateDir, service, log });
    },
    agent: () => openAgent(flags.json, { openStore: open, coordinator: coordinatorToAct }, handedDown),
  };
  return {
    context,
    async close() {
      for (const close of closers.reverse()) await bestEffort(log, "something was not closed", close);
    },
  };
}

// What runs until the title is overwritten is node's own start.
const PASSWORD_WARNING =
  "other users of this machine could read the password in --coordinator until holdline had started: safe are the environment variable HOLDLINE_COORDINATOR, and `coordinator` in a configuration file that only you can read";

/** This machine as claims on a lock carry it, by the store that the configuration names for the lock. */
function machineOn(settings: Settings): (lock: string) => string | null {
  let machine: string | undefined;
  return (lock) => {
    if (settingsOfLock(settings, lock).coordinator.startsWith("sqlite:")) return null;
    return (machine ??= readMachineIdentity(settings.stateDir));
  };
}

/** @throws HoldlineError `configuration` for a node without a name of its own on a store that others use too */
function refuseNobody({ node }: Settings, url: string): void {
  if (!isNobodysName(node) || !isReachedByOthers(url)) return;
  throw new HoldlineError("configuration", `this node is called ${node}, as any other may be, and the store is shared`, {
    hint: "give it a name of its own: set `node` in the configuration, or HOLDLINE_NODE",
  });
}

/** Opens a store, and says of a database where somebody has named it when not even its folder was there. */
async function openNoted(url: string, settings: Settings, own: Parameters<typeof openFor>[2]): Promise<Coordinator> {
  const isNamed = own.isAsFound !== true && settings.origins?.get("coordinator") !== "default";
  const folder = isNamed ? await missingFolder(url) : null;
  const coordinator = await openFor(url, settings, own);
  if (folder !== null) own.log.warn({}, `there was no folder ${folder} for the database: it has been made. Is its path right?`);
  return coordinator;
}

function openFor(url: string, settings: Settings, own: Pick<CoordinatorOptions, "isAsFound" | "log">): Promise<Coordinator> {
  return openCoordinator(url, {
    connectTimeoutMs: settings.connectTimeoutMs,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    historyKeep: settings.history.keep,
    historyForMs: settings.history.forMs ?? Number.POSITIVE_INFINITY,
    historyTotal: settings.history.total,
    sleepTimeMs: settings.acquire.sleepTimeMs,
    ...own,
  });
}

/** What durable execs have left on this node, in all stores that can be asked. A database that is not there is not made for it. */
async function execsLeft(
  { settings, log, stop }: Context,
  guard: GuardContext,
  openStore: (url: string) => Promise<Coordinator>,
): Promise<readonly ExecLeft[]> {
  if (stop.signal.aborted) return [];
  const { findExecsLeft, tidyExecs } = await import("./actions/execs-left.js");
  const left = [...(await tidyExecs(guard))];
  for (const url of coordinatorsInForce(settings)) {
    if (stop.signal.aborted || (await missingDatabase(url)) !== null) continue;
    const isFor = (lock: string) => settingsOfLock(settings, lock).coordinator === url;
    try {
      left.push(...(await findExecsLeft({ coordinator: await openStore(url), isFor }, guard)));
    } catch (error) {
      if (!(error instanceof HoldlineError) || stop.signal.aborted) throw error;
      log.warn({}, `what durable execs have left could not be looked for: ${messageOf(error)}`);
    }
  }
  return left;
}

/** @param json standard output is kept for one document: what commands print goes to standard error */
async function openAgent(
  json: boolean,
  { openStore, coordinator }: { readonly openStore: (url: string) => Promise<Coordinator> } & Pick<GuardContext, "coordinator">,
  handedDown: HandedDown,
): Promise<Agent> {
  const [{ recoverGuarded, resumeGuarded, runGuarded }, { openMachine, openStatelessMachine }, exec] = await Promise.all([
    import("./actions/run.js"),
    import("./actions/host.js"),
    import("./actions/exec.js"),
  ]);
  const withMachine = <M>(open: (options: MachineOptions) => M, { settings, log, progress, stop }: Context) => {
    const { node, principal, stateDir, releaseTimeoutMs } = settings;
    const machine = open({ stateDir, node, log, handedDown, ...(json ? { stdout: process.stderr } : {}) });
    return { node, principal, releaseTimeoutMs, machine, progress, log, stop, coordinator };
  };
  const guardOf = (context: Context): GuardContext => withMachine(openMachine, context);
  return {
    async runActions(context, names) {
      const guard = guardOf(context);
      const run = context.settings.skipCoordination ? (await import("./actions/uncoordinated.js")).runUncoordinated : runGuarded;
      const results: Result[] = [];
      for (const name of names) {
        const action = context.settings.actions.find((declared) => declared.name === name);
        if (action === undefined) continue; // Unknown names were refused before.
        results.push(await run(action, guard));
        if (context.stop.signal.aborted) break;
      }
      return results;
    },
    async resumeActions(context) {
      const guard = guardOf(context);
      const { actions } = context.settings;
      const results = new Map<string, Result>();
      // What stands in a line comes first: others of this node's actions may have waited behind it in vain.
      for (const finish of [recoverGuarded, resumeGuarded]) {
        for (const action of actions) {
          if (results.has(action.name) || context.stop.signal.aborted) continue;
          const result = await finish(action, guard);
          if (result !== null) results.set(action.name, result);
        }
      }
      const execs = await execsLeft(context, guard, openStore);
      const declared = new Set(actions.map(({ name }) => name));
      const undeclared = guard.machine.journal.actions().filter((name) => !declared.has(name) && execProgramOf(name) === null);
      for (const name of undeclared)
        context.log.warn({ action: name }, `something was left of the action ${name}, which is no longer declared`);
      return { results: [...results.values()], undeclared, execs };
    },
    async tryAction({ settings: { node }, stop, progress, log }, action, runsCheck) {
      const [{ tryAction }, { createCommands }, { createProcesses }] = await Promise.all([
        import("./actions/trial.js"),
        import("./actions/command.js"),
        import("./actions/processes.js"),
      ]);
      const machine = { clock: createClock(), commands: createCommands({ log, handedDown }), processes: createProcesses() };
      return tryAction(action, { machine, node, stop, progress, runsCheck });
    },
    execCommand: (context, spec) =>
      exec.execute(spec, { ephemeral: () => withMachine(openStatelessMachine, context), durable: () => guardOf(context) }),
  };
}
