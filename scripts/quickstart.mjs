// What `npm start` shows: a small real service that the program itself restarts under a lock, first as it should be and then
// with a mistake in its configuration. Everything is in a temporary folder, and nothing stays behind, not even after Ctrl-C.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./packages.mjs";

const CONFIG = "config/quickstart.yaml";
const SERVICE = "config/quickstart-service.mjs";

/** If this process is killed and cannot clean up, the service ends by itself after this time. */
const SERVICE_LIFETIME_S = 300;

/** Shows it and gives the exit code. */
export async function showQuickstart() {
  const folder = mkdtempSync(join(tmpdir(), "holdline-quickstart-"));
  const stage = openStage(folder);
  try {
    await show(stage, folder);
    return 0;
  } catch (error) {
    if (stage.interruptedBy() !== null) return { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[stage.interruptedBy()];
    process.stderr.write(`holdline: ${error.message}\n`);
    return 1;
  } finally {
    await stage.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function show({ say, holdline, service }, folder) {
  say("A small HTTP service starts, as a stand-in for yours:");
  await service("start");

  say("Now Holdline restarts it as on a fleet: wait for the lock, restart, check its health, let the next one go.");
  await holdline(["run", "restart-hello"], 0);
  await service("check");

  say("Next a mistake: somebody empties its configuration. The restarted service is not healthy, so the action fails.");
  writeFileSync(join(folder, "greeting.txt"), "");
  await holdline(["run", "restart-hello"], 4);

  say("The lock is kept, on purpose. On a fleet every other node would wait now: one node is down, and not all of them.");
  await holdline(["locks"], 0);

  say("Somebody corrects the mistake. The same command takes the kept lock over, does its work and lets go:");
  writeFileSync(join(folder, "greeting.txt"), "Hello again!\n");
  await holdline(["run", "restart-hello"], 0);

  say("The history has it all, and nobody holds the lock any more:");
  await holdline(["history"], 0);
  await holdline(["locks"], 0);

  say("The service stops, and nothing is left behind. To go on: README.md, and npm start -- --help");
}

/** Runs the program and the service in `folder`, says what happens, and notices when it is interrupted. */
function openStage(folder) {
  const env = {
    ...process.env,
    HELLO_DIR: folder,
    HELLO_LIFETIME_S: String(SERVICE_LIFETIME_S),
    HOLDLINE_STATE_DIR: join(folder, "state"),
    HOLDLINE_LOG_FORMAT: "text",
  };
  // The caller's own settings must not lead the demonstration to a real lock.
  for (const name of ["HOLDLINE_COORDINATOR", "HOLDLINE_CONFIG", "HOLDLINE_SKIP_COORDINATION"]) delete env[name];

  let interruptedBy = null;
  let child = null;
  const onSignal = (signal) => {
    interruptedBy ??= signal;
    // On a terminal the child has the signal already. A second one does no harm.
    child?.kill(signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);

  const run = async (argv, expected) => {
    child = spawn(process.execPath, argv, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
    const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
    child = null;
    if (interruptedBy !== null) throw new Error(`interrupted by ${interruptedBy}`);
    if (code !== expected) throw new Error(`the demonstration ends here: exit code ${code} where ${expected} was expected`);
  };
  let step = 0;
  return {
    interruptedBy: () => interruptedBy,
    say: (words) => {
      step += 1;
      process.stdout.write(`\n${step}. ${words}\n`);
    },
    holdline: async (argv, expected) => {
      process.stdout.write(`   $ holdline ${argv.join(" ")}\n`);
      await run([join(root, "dist/main.cjs"), ...argv, "--config", CONFIG], expected);
      if (expected !== 0) process.stdout.write(`   (exit code ${expected})\n`);
    },
    service: (verb) => run([SERVICE, verb], 0),
    close: async () => {
      const stopping = spawn(process.execPath, [SERVICE, "stop"], { cwd: root, env, stdio: "ignore" });
      await new Promise((resolve) => stopping.once("error", resolve).once("close", resolve));
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
