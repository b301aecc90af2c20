// The process's edge: arguments, signals, exit code. Only this file ends the process.
import { commandLineOf } from "./cli/resource-programs.js";
import { openIo } from "./cli/io.js";
import { runProgram, tellError } from "./cli/program.js";
import { openStopRequests } from "./cli/stop.js";
import { lookAtHandedDown } from "./handed-down.js";

// Before anything is opened.
const handedDown = lookAtHandedDown();
const argv = commandLineOf(process.argv);
const io = openIo(process);
const stop = openStopRequests(process, handedDown.ignored);

// An uncaught error is a bug, and the process must end: its durable claim stays, and the next run recovers.
const onBug = (error: unknown) => {
  tellError(error, io, { json: false, verbose: argv.includes("-v") || argv.includes("--verbose") });
  process.exit(70);
};
process.on("uncaughtException", onBug);
process.on("unhandledRejection", onBug);

void main();

async function main(): Promise<void> {
  const code = await runProgram({
    argv,
    io,
    stop,
    withContext: async (request, use) => (await import("./runtime.js")).withContext({ ...request, handedDown }, use),
  });
  stop.close();
  await Promise.all([process.stdout, process.stderr].map(drained));
  process.exit(code);
}

/** Resolves when everything has been written, or cannot be. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.write("", () => resolve());
  });
}
