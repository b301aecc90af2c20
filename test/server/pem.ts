// Certificates of a test's own, made with openssl, and programs that get their listening socket from whoever starts them.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { PROGRAM } from "../e2e/fleet.js";

/** Why no certificates can be made here; `null` where they can. */
export const PEM_PROBLEM = (() => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return null;
  } catch {
    return "openssl is not installed";
  }
})();

/** The files of a certificate and its key. */
export interface Pem {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate for `name`, signed by `signer` or by itself. */
export function makeCertificate(directory: string, name: string, signer: Pem | null = null, file = name): Pem {
  const folder = join(directory, "pem");
  mkdirSync(folder, { recursive: true });
  const [cert, key] = [join(folder, `${file}.crt`), join(folder, `${file}.key`)];
  const config = join(folder, `${file}.cnf`);
  const isAuthority = signer === null ? "TRUE" : "FALSE";
  writeFileSync(
    config,
    `[req]\ndistinguished_name = dn\n[dn]\n[v3]\nbasicConstraints = CA:${isAuthority}\nsubjectAltName = IP:127.0.0.1\n`,
  );
  const signed = signer === null ? [] : ["-CA", signer.cert, "-CAkey", signer.key];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", name === "" ? "/" : `/CN=${name}`, "-config", config, "-extensions", "v3", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...curve, ...subject, ...signed, "-keyout", key, "-out", cert], { stdio: "pipe" });
  return { cert, key };
}

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
