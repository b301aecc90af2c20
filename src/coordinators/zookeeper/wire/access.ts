// How a client gets in at a server: the socket, plain or with TLS, and as whom. Certificates, keys and passwords are read anew for each
// connection, because their files may have been replaced since the last one. Says in words why a server or a file does not let it in.
import { connect, type Socket } from "node:net";
import { connect as connectSecurely, type PeerCertificate, TLSSocket } from "node:tls";
import { HoldlineError } from "../../../locks/errors.js";
import { passwordFrom, secureOptions, type SecurityFiles, tlsTroubleOf } from "../../../secure-connection.js";

export interface Server {
  readonly host: string;
  readonly port: number;
}

/** As whom a client logs in. */
export interface Login {
  /** ZooKeeper's digest scheme sends user and password; SASL's DIGEST-MD5 proves that both sides know them. */
  readonly mechanism: "digest" | "sasl";
  readonly user: string;
  readonly password: string | { readonly file: string };
}

export interface Access {
  /** `null` for a connection in the clear. */
  readonly tls: SecurityFiles | null;
  readonly login: Login | null;
}

/** A login with the password as it is now. */
export interface ReadLogin extends Login {
  readonly password: string;
}

/** @throws HoldlineError when the password's file cannot be read */
export function readLogin({ login }: Access): ReadLogin | null {
  if (login === null) return null;
  return { ...login, password: typeof login.password === "string" ? login.password : passwordFrom(login.password.file) };
}

/** Whether the client shows who it is, so that what it creates can belong to it. */
export function isIdentified({ tls, login }: Access): boolean {
  return login !== null || tls?.cert !== undefined;
}

// All connections of the process read into this buffer, one at a time. Code that keeps a part of it copies that part.
const READ_INTO = Buffer.allocUnsafeSlow(65_536);

/**
 * Opens a connection.
 * @param onOpen called when requests can be sent
 * @throws Error when a file cannot be read or used
 */
export function openSocket(server: Server, { tls }: Access, onOpen: () => void, onData: (chunk: Buffer) => void): Socket {
  if (tls !== null) {
    const socket = connectSecurely({ ...secureOptions(tls, server.host), ...server });
    return socket.on("secureConnect", onOpen).on("data", onData);
  }
  const callback = (length: number): boolean => {
    onData(READ_INTO.subarray(0, length));
    return true;
  };
  return connect({ ...server, onread: { buffer: READ_INTO, callback } }).on("connect", onOpen);
}

/** What protects a connection. */
export interface Security {
  /** `TLSv1.3`. */
  readonly protocol: string;
  /** Of the server's certificate. */
  readonly server: Validity | null;
  /** Of the client's; `null` where it shows none. */
  readonly client: Validity | null;
}

/** When a certificate is valid, in milliseconds since 1970. */
export interface Validity {
  readonly since: number;
  readonly until: number;
}

export function securityOf(socket: Socket | undefined): Security | null {
  if (!(socket instanceof TLSSocket)) return null;
  return {
    protocol: socket.getProtocol() ?? "TLS",
    server: validityOf(socket.getPeerCertificate()),
    client: validityOf(socket.getCertificate()),
  };
}

/** @param certificate an empty object stands for none */
function validityOf(certificate: PeerCertificate | object | null): Validity | null {
  if (certificate === null || !("valid_to" in certificate)) return null;
  return { since: Date.parse(certificate.valid_from), until: Date.parse(certificate.valid_to) };
}

/** What TLS calls a message that says why it ends, and its first version byte: a plain client sees it in place of an answer. */
const TLS_ALERT = [0x15, 0x03] as const;

/** Whether a server answers a plain client with TLS. */
export function isTlsAlert(chunk: Buffer): boolean {
  return TLS_ALERT.every((byte, at) => chunk[at] === byte);
}

export function speaksTls(server: Server): HoldlineError {
  return new HoldlineError("configuration", `the ZooKeeper server ${nameOf(server)} speaks TLS at this port`, {
    hint: "write zookeeper+tls:// in the coordinator URL, with ?ca=FILE where the authority is your own; or name the port of plain clients",
  });
}

/** Why a connection came to nothing, where trying again without a change cannot help; `null` where it may. */
export function refusalOf(error: unknown, server: Server, { tls }: Access): HoldlineError | null {
  if (error instanceof HoldlineError) return error;
  const trouble = tlsTroubleOf(error, tls ?? undefined);
  if (trouble === null) return null;
  const { code, message, hint } = trouble;
  return new HoldlineError(code, `the ZooKeeper server ${nameOf(server)} ${message}`, { hint, cause: error });
}

/**
 * Why a server may have hung up before it had given a session.
 * @param wasOpen whether it could already be asked for one
 */
export function hungUp(server: Server, { tls }: Access, wasOpen: boolean): string {
  const other =
    tls === null
      ? "this port is for TLS (zookeeper+tls://)"
      : wasOpen
        ? "it does not take this client's certificate"
        : "it speaks no TLS at this port";
  return `${nameOf(server)} hung up without an answer: it serves nobody at the moment, or ${other}`;
}

function nameOf({ host, port }: Server): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
