// Services that actions restart, and claims that were left over them: real processes with names of their own, and an agent that was
// killed while its action ran.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Claim } from "../../src/locks/claim.js";
import { ticksNow } from "../../src/proc.js";
import { until } from "../support/wait.js";
import type { Fleet } from "./nodes.js";

interface Service {
  readonly pid: number;
  readonly end: () => Promise<void>;
}

const services: Service[] = [];

/** Ends every service of the running test. */
export async function endServices(): Promise<void> {
  await Promise.all(services.splice(0).map((service) => service.end()));
}

/** A service whose processes have a name that nothing else on this machine has; they end with the test. */
export function serviceOn(fleet: Fleet) {
  const name = `svc${randomBytes(5).toString("hex")}`;
  const program = join(fleet.directory, name);
  copyFileSync("/bin/sleep", program);
  onTestFinished(endServices);
  return {
    name,
    /** The action `restart`, which writes "ran" and restarts nothing, with changes. */
    actions: (changes: Readonly<Record<string, unknown>> = {}) => ({
      restart: {
        mode: "serialize_process",
        process: { command_string: `^${name}$`, must_restart: false },
        shell: `echo ran >> '${fleet.log}'`,
        ...changes,
      },
    }),
    /** Starts it; after the moment at which a claim was made, if one is given, by the clock that start times have. */
    startService: async (after?: { readonly made: { readonly ticks: number | null } | null }): Promise<Service> => {
      const ticks = after?.made?.ticks ?? null;
      if (ticks !== null) await until(() => (ticksNow() ?? 0) > ticks, "the next tick of the clock");
      const child = spawn(program, ["4711"], { stdio: "ignore" });
      const exited = once(child, "exit");
      await once(child, "spawn");
      // Between fork and exec it has its parent's name.
      await until(() => readFileSync(`/proc/${child.pid}/comm`, "utf8").trim() === name, "the service to have its name");
      const service = {
        pid: child.pid as number,
        end: async () => {
          child.kill("SIGKILL");
          await exited;
        },
      };
      services.push(service);
      return service;
    },
  };
}

export type Actions = ReturnType<typeof serviceOn>["actions"];

/** A claim of web-01's on `restart` whose agent was killed while the action ran, and the command that it left behind. */
export async function leaveStale(fleet: Fleet, actions: Actions): Promise<{ stale: Claim; orphan: number }> {
  const pidFile = join(fleet.directory, "orphan.pid");
  const shell = `echo $$ > '${pidFile}'; echo "start $HOLDLINE_NODE" >> '${fleet.log}'; exec sleep 1000`;
  const agent = fleet.node("web-01", actions({ shell })).start("run", "restart");
  await fleet.untilLine("start web-01");
  agent.kill("SIGKILL");
  await agent.ended;
  const orphan = Number(readFileSync(pidFile, "utf8"));
  onTestFinished(() => {
    try {
      process.kill(-orphan, "SIGKILL");
    } catch {
      // The next run has ended it.
    }
  });
  const [stale] = (await fleet.queue("restart")) as [Claim];
  return { stale, orphan };
}
