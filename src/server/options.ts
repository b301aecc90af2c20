// The server's options, from the configuration, Locker's environment variables and the command line's flags. A flag wins over
// the environment, and that over the file.
import { createField, readLabel } from "../config/field.js";
import { resolveFrom } from "../config/paths.js";
import { createProblems, plainOrigin } from "../config/problems.js";
import { ANONYMOUS } from "../config/serve.js";
import type { ServeSettings, Settings } from "../config/settings.js";
import { HoldlineError } from "../locks/errors.js";
import { quoted } from "../locks/text.js";
import { workingDirectory } from "../working-directory.js";

export interface ServeOptions extends ServeSettings {
  /** Credentials with all rights, beside the configured ones. */
  readonly own: { readonly user: string; readonly password: string } | null;
  /** The descriptor of a listening socket that a service manager has opened; `null`: listen on address and port. */
  readonly fd: number | null;
  /** The settings or variables that name the files of certificate and key, for messages. */
  readonly from: { readonly cert: string; readonly key: string };
  /** Whether anybody may lock or clear without credentials. */
  readonly isOpen: boolean;
  readonly insecure: boolean;
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
  const pair = readPair(env, "SSL_CERT", "SSL_KEY");
  const [cert, key] = pair ?? [serve.cert, serve.key];
  const from = pair === null ? { cert: "serve.cert", key: "serve.key" } : { cert: "SSL_CERT", key: "SSL_KEY" };
  if ((cert === null) !== (key === null)) {
    const [there, missing] = cert === null ? ["serve.key", "serve.cert"] : ["serve.cert", "serve.key"];
    throw new HoldlineError("configuration", `${there} is set and ${missing} is not`, { hint: "set both for HTTPS, or neither" });
  }
  if (serve.clientCa !== null && cert === null)
    throw new HoldlineError("configuration", "serve.client_ca is set, and client certificates come only with HTTPS", {
      hint: "set serve.cert and serve.key as well",
    });
  const own = readOwn(settings, env);
  const fd = inheritedSocket(env, pid);
  const { listen, port } = addressOf(settings, flags, env);
  const isOpen = mayEverybodyWrite(settings, own !== null);
  const { insecure } = flags;
  // An inherited socket may have any address: its unit says which.
  if (isOpen && !insecure && (fd !== null || !isLoopback(listen))) {
    const where = fd === null ? listen : "a socket of the service manager's";
    throw new HoldlineError("configuration", `everybody who reaches ${where} could lock and clear without credentials`, {
      hint: "set access: in the configuration, or AUTH_USER and AUTH_PASS; --insecure serves all the same",
    });
  }
  return { ...serve, listen, port, cert: absolute(cert), key: absolute(key), own, fd, from, isOpen, insecure };
}

function absolute(path: string | null): string | null {
  return path === null ? null : resolveFrom(workingDirectory(), path);
}

/** Whether callers without credentials may write: as `anonymous` says, and without any access and credentials everybody may. */
function mayEverybodyWrite({ access }: Settings, hasOwn: boolean): boolean {
  const anonymous = access.get(ANONYMOUS);
  if (anonymous === undefined) return access.size === 0 && !hasOwn;
  return anonymous.may.some((right) => right !== "read");
}

/** Locker's credentials. Their user is the caller's name, as a name under `access` is. */
function readOwn(settings: Settings, env: Environment): ServeOptions["own"] {
  const [user, password] = readPair(env, "AUTH_USER", "AUTH_PASS") ?? [null, null];
  if (user === null || password === null) return null;
  const problems = createProblems();
  const field = createField(user, [], plainOrigin("AUTH_USER"), problems);
  readLabel(field);
  if (user.includes(":")) field.refuse('must be without ":", which ends the name in credentials');
  if (user === ANONYMOUS) field.refuse(`must not be ${ANONYMOUS}, which stands for those without credentials`);
  // A name under access must not get all rights by way of these variables.
  else if (settings.access.has(user)) field.refuse(`is ${quoted(user)}, which access: in the configuration has already`);
  problems.throwIfAny();
  return { user, password };
}

/** Two variables that belong together. An empty one counts as not set. */
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

/** Whether an address is reached from this machine alone. Of names, only localhost is known to be. */
export function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || /^127(?:\.\d{1,3}){3}$/.test(address);
}

// sd_listen_fds(3): descriptors from 3 on, for the process that LISTEN_PID names.
const FIRST_FD = 3;

function inheritedSocket(env: Environment, pid: number): number | null {
  if (env["LISTEN_PID"] !== String(pid)) return null;
  const count = Number(env["LISTEN_FDS"]);
  if (count > 1)
    throw new HoldlineError("configuration", `the service manager has opened ${count} sockets, and only one is served`, {
      hint: "give the socket unit one ListenStream=; [::]:3000 serves IPv4 as well",
    });
  return count === 1 ? FIRST_FD : null;
}
