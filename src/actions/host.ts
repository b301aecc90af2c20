// Puts together the machine that this process runs on.
import type { Writable } from "node:stream";
import type { HandedDown } from "../handed-down.js";
import type { Log } from "../locks/log.js";
import { createClock } from "../line/clock.js";
import { createCommands } from "./commands/command.js";
import { createFacts } from "./facts/facts.js";
import { openJournal } from "./state/journal.js";
import type { Machine, StatelessMachine } from "./machine.js";
import { openMachineIdentity, readMachineIdentity } from "./state/machine-identity.js";
import { createProcesses } from "./processes.js";
import { openSeenFiles } from "./state/seen-files.js";
import { openSightings } from "./state/sightings.js";

export interface MachineOptions {
  readonly stateDir: string;
  readonly node: string;
  readonly log: Log;
  /** Where `relay` sends what commands print; by default this process's own standard streams. */
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  /** What commands get beside arguments and environment; by default nothing. */
  readonly handedDown?: HandedDown;
}

/** @throws HoldlineError `configuration` when it cannot make or write the state directory */
export function openMachine({ stateDir, node, log, ...forCommands }: MachineOptions): Machine {
  // Before the journal is opened: the journal may be another machine's, and is set aside then.
  const id = openMachineIdentity(stateDir, log);
  const stateless = withoutState({ log, ...forCommands });
  return {
    id,
    ...stateless,
    journal: openJournal(stateDir, node, log),
    sightings: openSightings(stateDir, log),
    facts: createFacts({ processes: stateless.processes, seen: openSeenFiles(stateDir, log), log }),
  };
}

/** The machine for somebody who only wants to see what a run would do: reads the state directory where it is there, and writes nothing. */
export function openMachineToLook({ stateDir, log, ...forCommands }: MachineOptions): StatelessMachine & Pick<Machine, "facts"> {
  const stateless = withoutState({ log, ...forCommands });
  const facts = createFacts({ processes: stateless.processes, seen: openSeenFiles(stateDir, log), log });
  return { id: readMachineIdentity(stateDir), ...stateless, facts };
}

/** The same machine without a journal, for a run that leaves nothing behind: it makes no state directory, and needs none. */
export function openStatelessMachine({ stateDir, ...forCommands }: Omit<MachineOptions, "node">): StatelessMachine {
  return { id: readMachineIdentity(stateDir), ...withoutState(forCommands) };
}

function withoutState(forCommands: Omit<MachineOptions, "stateDir" | "node">): Omit<StatelessMachine, "id"> {
  return { clock: createClock(), processes: createProcesses(), commands: createCommands(forCommands) };
}
