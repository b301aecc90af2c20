// Programs that get their listening socket from whoever starts them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { onTestFinished } from "vitest";
import { PROGRAM } from "../e2e/fleet.js";

export interface Activated {
  readonly pid: number;
  readonly ended: Promise<number | null>;
  stderr(): string;
}

/**
 * Starts the program with `descriptor` as its third, as a service manager does.
 * @param count how many it is told there are
 */
export function startActivated(
  config: string,
  descriptor: number | "ignore",
  env: Readonly<Record<string, string>>,
  count = 1,
): Activated {
  // LISTEN_PID is the program's own: a shell that becomes the program knows it.
  const shell = `exec env LISTEN_PID=$$ LISTEN_FDS=${count} "$@"`;
  const child = spawn("/bin/sh", ["-c", shell, "sh", process.execPath, PROGRAM, "-c", config, "serve"], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe", descriptor],
  });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = once(child, "close").then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { pid: child.pid as number, ended, stderr: () => said };
}

/** A listening socket to be handed over, with its descriptor and its port. */
export interface Listening {
  readonly descriptor: number;
  readonly port: number;
  /** Leaves it to whoever has the descriptor by now: connections are not accepted here. */
  readonly leave: () => void;
}

export async function openListening(): Promise<Listening> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle;
  return { descriptor: fd, port: (server.address() as AddressInfo).port, leave: () => void server.close() };
}
