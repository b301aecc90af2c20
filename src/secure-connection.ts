// What every store with TLS and passwords shares: reading certificates, keys and passwords from files, and telling in words what was
// wrong when a secure connection could not be made.
import { X509Certificate } from "node:crypto";
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
 * @throws HoldlineError `configuration` with the path of a file that cannot be read, or that has something else in it
 */
export function secureOptions({ ca, cert, key }: SecurityFiles, host: string): ConnectionOptions {
  return {
    ...readPart("ca", ca),
    ...readPart("cert", cert),
    ...readPart("key", key),
    rejectUnauthorized: true,
    // An address is no server name in TLS, and is checked as an address.
    ...(isIP(host) === 0 ? { servername: host } : {}),
  };
}

const PARTS = { ca: "the authorities' certificates", cert: "the client's certificate", key: "the client's key" } as const;

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/;
const KEY = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/;
// The two forms that keys with a passphrase have.
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type:.*ENCRYPTED/m;

/** Looks at what a file is: OpenSSL takes an authority's file without any certificate for one that trusts nobody. */
function readPart(part: keyof typeof PARTS, path: string | undefined): ConnectionOptions {
  if (path === undefined) return {};
  const what = PARTS[part];
  const bytes = readSecret(path, what);
  const text = bytes.toString("latin1");
  if (!(part === "key" ? KEY : CERTIFICATE).test(text))
    throw new HoldlineError("configuration", `${path} should have ${what} and has nothing of the kind in PEM form`);
  if (part === "key" && ENCRYPTED.test(text)) {
    throw new HoldlineError(
      "configuration",
      `the client's key in ${path} is encrypted, and nobody is there to type its passphrase`,
      {
        hint: "decrypt it, and let only the user read it that Holdline runs as",
      },
    );
  }
  return { [part]: bytes };
}

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
  /** Whether the server does not let this client in, or something has to be put right: here or there. */
  readonly code: "not-allowed" | "configuration";
  readonly message: string;
  readonly hint: string;
}

/**
 * What an error of a connection says of TLS, in words that follow "the server HOST:PORT "; `null` where it is about something else.
 * @param files what the client has shown itself with, where that is known: servers say little of why they refuse it
 */
export function tlsTroubleOf(error: unknown, files?: SecurityFiles): TlsTrouble | null {
  const { code = "", message: said = "" } = error as NodeJS.ErrnoException;
  const found = TROUBLES.find(([codes]) => codes.test(code) || codes.test(said));
  if (found === undefined) return null;
  if (found === REFUSED && files !== undefined) return refusalOf(files);
  const [, message, hint, by = "client"] = found;
  return { code: by === "server" ? "not-allowed" : "configuration", message, hint };
}

/** Servers say no more than this of a client without a certificate, and of one that they do not take. */
function refusalOf({ cert }: SecurityFiles): TlsTrouble {
  const code = "not-allowed";
  if (cert === undefined) return { code, message: WANTED[1], hint: WANTED[2] };
  const until = untilOf(cert);
  if (until !== null && until < Date.now()) {
    const day = new Date(until).toISOString().slice(0, 10);
    return { code, message: `does not take this client's certificate, which has expired on ${day}`, hint: `renew ${cert}` };
  }
  return { code, message: "does not take this client's certificate", hint: "use one that the server's authorities have signed" };
}

/** Until when a file's first certificate is valid; `null` where that cannot be told, as of a file that has gone meanwhile. */
function untilOf(path: string): number | null {
  try {
    return Date.parse(new X509Certificate(readFileSync(path)).validTo);
  } catch {
    return null;
  }
}

// Who refuses is the client, where nothing else is said.
type Trouble = readonly [codes: RegExp, message: string, hint: string, by?: "server"];

const WANTED: Trouble = [
  /CERTIFICATE_REQUIRED/i,
  "wants a client's certificate",
  "name it with its key as ?cert=FILE&key=FILE",
  "server",
];

const REFUSED: Trouble = [
  /BAD_CERTIFICATE|bad certificate|CERTIFICATE_UNKNOWN|certificate unknown|HANDSHAKE_FAILURE|handshake failure/i,
  "does not take this client's certificate, or wants one",
  "name one with its key as ?cert=FILE&key=FILE that the server's authorities have signed",
  "server",
];

// By Node's code, or by OpenSSL's words where a client keeps only those.
const TROUBLES: readonly Trouble[] = [
  [
    /ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate's altnames/,
    "shows a certificate for another name",
    "name it in the URL as its certificate does",
  ],
  [/CERT_HAS_EXPIRED|certificate has expired/, "shows a certificate that has expired", "renew the server's certificate"],
  [
    /CERT_NOT_YET_VALID|certificate is not yet valid/,
    "shows a certificate that is not valid yet",
    "look at the clocks of both machines",
  ],
  [
    /SELF[-_ ]SIGNED[_ ]CERT|UNABLE[_ ]TO[_ ](?:GET[_ ](?:LOCAL )?ISSUER[_ ]CERT|VERIFY[_ ](?:LEAF|THE FIRST))/i,
    "shows a certificate of an authority that is not known here",
    "name the file with the authority's certificate as ?ca=FILE",
  ],
  WANTED,
  [
    /UNKNOWN_CA|unknown ca/i,
    "does not know the authority of this client's certificate",
    "use one that the server's authorities have signed",
    "server",
  ],
  [/CERTIFICATE_EXPIRED|certificate expired/i, "says that this client's certificate has expired", "renew it", "server"],
  REFUSED,
  [
    /WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG/,
    "does not speak TLS at this port",
    "look at the port, or leave TLS out of the URL",
  ],
  [
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|INSUFFICIENT_SECURITY/,
    "speaks no version of TLS that this client speaks",
    "let it speak TLS 1.2 or 1.3",
  ],
  [
    /KEY_VALUES_MISMATCH|key values mismatch/,
    "was not asked: the client's key does not belong to its certificate",
    "look at ?cert= and ?key=",
  ],
  [
    /NO_START_LINE|ERR_OSSL_PEM|UNSUPPORTED.*DECODER|BAD_END_LINE/i,
    "was not asked: a file is not in PEM form",
    "look at ?ca=, ?cert= and ?key=",
  ],
];
