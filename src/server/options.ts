// What the server runs with: the configuration's settings, Locker's environment variables and the command line's flags, put
// together. A flag wins over the environment, which wins over the file.
import { resolve } from "node:path";
import { ANONYMOUS } from "../config/serve.js";
import type { ServeSettings, Settings } from "../config/settings.js";
import { HoldlineError } from "../locks/errors.js";
import { quoted } from "../locks/text.js";

export interface ServeOptions extends ServeSettings {
  /** Credentials with all rights, beside those that are configured. */
  readonly own: { readonly user: string; readonly password: string } | null;
  /** A listening socket that a service manager has opened, by its descriptor; `null`: listen on address and port. */
  readonly fd: number | null;
}

export interface ServeFlags {
  /** ADDRESS or ADDRESS:PORT. */
  readonly listen: string | null;
  readonly insecure: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws HoldlineError `configuration` that names the variable or the setting */
export function serveOptionsOf(settings: Settings, flags: ServeFlags, env: Environment, pid: number): ServeOptions {
  const { serve } = settings;
  const [cert, key] = readPair(env, "SSL_CERT", "SSL_KEY") ?? [serve.cert, serve.key];
  if ((cert === null) !== (key === null)) {
    const [there, missing] = cert === null ? ["serve.key", "serve.cert"] : ["serve.cert", "serve.key"];
    throw new HoldlineError("configuration", `${there} is set and ${missing} is not`, { hint: "set both for HTTPS, or neither" });
  }
  if (serve.clientCa !== null && cert === null)
    throw new HoldlineError("configuration", "serve.client_ca is set, and client certificates come only with HTTPS", {
      hint: "set serve.cert and serve.key as well",
    });
  const [user, password] = readPair(env, "AUTH_USER", "AUTH_PASS") ?? [null, null];
  if (user?.includes(":")) throw new HoldlineError("configuration", 'AUTH_USER must be without ":", which ends it in credentials');
  const fd = inheritedSocket(env, pid);
  const { listen, port } = addressOf(settings, flags, env);
  const isProtected = user !== null || [...settings.access.keys()].some((name) => name !== ANONYMOUS);
  const isOpen = !isProtected && !(settings.access.size > 0 && onlyReads(settings));
  // What address an inherited socket has is for its unit to say; that it may be any is reason enough.
  if (isOpen && !flags.insecure && (fd !== null || !isLoopback(listen))) {
    const where = fd === null ? listen : "a socket of the service manager's";
    throw new HoldlineError("configuration", `everybody who reaches ${where} could lock and clear: no credentials are set`, {
      hint: "set access: in the configuration, or AUTH_USER and AUTH_PASS; --insecure serves all the same",
    });
  }
  const own = user === null || password === null ? null : { user, password };
  return { ...serve, listen, port, cert: absolute(cert), key: absolute(key), own, fd };
}

function absolute(path: string | null): string | null {
  return path === null ? null : resolve(path);
}

function onlyReads({ access }: Settings): boolean {
  return access.get(ANONYMOUS)?.may.every((right) => right === "read") ?? true;
}

/** Two variables that mean something only together. Empty is not set. */
function readPair(env: Environment, one: string, other: string): readonly [string, string] | null {
  const [first, second] = [env[one] || null, env[other] || null];
  if (first !== null && second !== null) return [first, second];
  if (first === null && second === null) return null;
  const [there, missing] = first === null ? [other, one] : [one, other];
  throw new HoldlineError("configuration", `${there} is set and ${missing} is not`, { hint: "set both, or neither" });
}

function addressOf(settings: Settings, { listen: flag }: ServeFlags, env: Environment): { listen: string; port: number } {
  const { listen, port } = settings.serve;
  const isSaid = ["environment", "flag"].includes(settings.origins?.get("serve.port") ?? "default");
  const general = isSaid || !env["PORT"] ? port : readPort(env["PORT"], "PORT");
  if (flag === null) return { listen, port: general };
  const [, address = "", digits] = /^(\[[^\]]*\]|[^:]*|[0-9a-f:]*::[0-9a-f:]*)(?::(\d+))?$/i.exec(flag) ?? [];
  const bare = address.replace(/^\[(.*)\]$/, "$1");
  if (bare === "" && digits === undefined)
    throw new HoldlineError("usage", `--listen: ${quoted(flag)} is no address`, {
      hint: "right would be such as 127.0.0.1, 0.0.0.0:8080 or [::1]:3000",
    });
  return { listen: bare || listen, port: digits === undefined ? general : readPort(digits, "--listen") };
}

function readPort(text: string, by: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new HoldlineError(by === "PORT" ? "configuration" : "usage", `${by}: ${quoted(text)} is no port`, {
    hint: "right would be a whole number from 0 to 65535",
  });
}

/** Reached from this machine alone? A name may be anybody's. */
function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || /^127(?:\.\d{1,3}){3}$/.test(address);
}

// sd_listen_fds(3): descriptors from 3 on, for the process that LISTEN_PID names.
const FIRST_FD = 3;

function inheritedSocket(env: Environment, pid: number): number | null {
  return env["LISTEN_PID"] === String(pid) && Number(env["LISTEN_FDS"]) >= 1 ? FIRST_FD : null;
}
