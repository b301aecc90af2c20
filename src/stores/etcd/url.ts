// etcd://[user[:password]@]host[:port][,host[:port]…][/prefix], and etcd+tls://… with ?ca=, ?cert= and ?key=; with either ?password_file=.
import { passwordFrom } from "../../secure-connection.js";
import { parseStoreUrl } from "../../store-url.js";
import { createEndpoint, type Endpoint } from "./wire/endpoint.js";
import type { Credentials } from "./wire/link.js";

export interface EtcdAddress {
  readonly endpoints: readonly Endpoint[];
  /** What all keys begin with, without a slash at its end. */
  readonly prefix: string;
  /** `null` for nobody, or for whom a certificate names. */
  readonly credentials: Credentials | null;
}

/** Of a URL without a path. */
const DEFAULT_PREFIX = "/holdline";

/** @param url one that the scheme has found right */
export function parseEtcdUrl(url: string): EtcdAddress {
  const { scheme, user, password, servers, path, params } = parseStoreUrl(url);
  const [ca, cert, key, file] = ["ca", "cert", "key", "password_file"].map((name) => params.get(name));
  const files = scheme === "etcd+tls" ? { ca, cert, key } : null;
  return {
    endpoints: servers.map((server) => createEndpoint(server, files)),
    prefix: decodeURIComponent(path).replace(/\/+$/, "") || DEFAULT_PREFIX,
    credentials: user === null ? null : { user, password: () => (file === undefined ? (password ?? "") : passwordFrom(file)) },
  };
}
