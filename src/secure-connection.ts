// What every store with TLS and passwords shares: reading certificates, keys and passwords from files, and telling in words what was
// wrong when a secure connection could not be made.
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { HoldlineError } from "./locks/errors.js";

/** Files in PEM form, as `ca`, `cert` and `key` of a store's URL name them. */
export interface SecurityFiles {
  /** Authorities that servers are trusted by; the system's where it is undefined. */
  readonly ca: string | undefined;
  /** This client's certificate, with what lies between it and its authority. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * Reads the files anew: they may have been replaced since the last connection was made. Server names are checked.
 * @throws HoldlineError `configuration` with the path of a file that cannot be read
 */
export function secureOptions({ ca, cert, key }: SecurityFiles, host: string): ConnectionOptions {
  const read = (path: string | undefined, what: string): { [name: string]: Buffer } =>
    path === undefined ? {} : { [what]: readSecret(path, PARTS[what as keyof typeof PARTS]) };
  return {
    ...read(ca, "ca"),
    ...read(cert, "cert"),
    ...read(key, "key"),
    rejectUnauthorized: true,
    // An address is no server name in TLS, and is checked as an address.
    ...(isIP(host) === 0 ? { servername: host } : {}),
  };
}

const PARTS = { ca: "the authorities' certificates", cert: "the client's certificate", key: "the client's key" };

/**
 * The password in a file: its first line.
 * @throws HoldlineError `configuration` when it cannot be read or is empty
 */
export function passwordFrom(path: string): string {
  const [password = ""] = readSecret(path, "the password").toString("utf8").split(/\r?\n/, 1);
  if (password === "") throw new HoldlineError("configuration", `the password's file ${path} begins with an empty line`);
  return password;
}

function readSecret(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw new HoldlineError("configuration", `${what} cannot be read from ${path}: ${WHY[code] ?? code}`, { cause: error });
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a directory",
};

/** What was wrong with a secure connection. */
export interface TlsTrouble {
  readonly message: string;
  readonly hint: string;
}

/** What an error of a connection says of TLS, in words that follow "the server HOST:PORT "; `null` where it is about something else. */
export function tlsTroubleOf(error: unknown): TlsTrouble | null {
  const { code = "", message = "" } = error as NodeJS.ErrnoException;
  const found = TROUBLES.find(([codes]) => codes.test(code) || codes.test(message));
  return found === undefined ? null : { message: found[1], hint: found[2] };
}

const TROUBLES: readonly (readonly [codes: RegExp, message: string, hint: string])[] = [
  [/ERR_TLS_CERT_ALTNAME_INVALID/, "shows a certificate for another name", "name it in the URL as its certificate does"],
  [/CERT_HAS_EXPIRED/, "shows a certificate that has expired", "renew the server's certificate"],
  [/CERT_NOT_YET_VALID/, "shows a certificate that is not valid yet", "look at the clocks of both machines"],
  [
    /DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(?:GET_ISSUER_CERT|VERIFY_LEAF_SIGNATURE)/,
    "shows a certificate of an authority that is not known here",
    "name the file with the authority's certificate as ?ca=FILE",
  ],
  [/CERTIFICATE_REQUIRED/i, "wants a client's certificate", "name it with its key as ?cert=FILE&key=FILE"],
  [
    /UNKNOWN_CA|unknown ca/i,
    "does not know the authority of this client's certificate",
    "use one that the server's authorities have signed",
  ],
  [/CERTIFICATE_EXPIRED|certificate expired/i, "says that this client's certificate has expired", "renew it"],
  [
    /BAD_CERTIFICATE|bad certificate|CERTIFICATE_UNKNOWN|certificate unknown|HANDSHAKE_FAILURE|handshake failure/i,
    "does not take this client's certificate, or wants one",
    "name one with its key as ?cert=FILE&key=FILE that the server's authorities have signed",
  ],
  [
    /WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG/,
    "does not speak TLS at this port",
    "look at the port, or leave TLS out of the URL",
  ],
  [/KEY_VALUES_MISMATCH/, "was not asked: the client's key does not belong to its certificate", "look at ?cert= and ?key="],
  [
    /NO_START_LINE|ERR_OSSL_PEM|UNSUPPORTED.*DECODER|BAD_END_LINE/i,
    "was not asked: a file is not in PEM form",
    "look at ?ca=, ?cert= and ?key=",
  ],
];
