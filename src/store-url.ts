// The parts that URLs of stores have in common: who connects, to which servers, to what there, and how. Stores read their own URLs with
// this, and src/coordinators/schemes/ says before that whether one can be right.

/** A server as a URL names it. */
export interface ServerName {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  /** `null` where the URL names none. */
  readonly port: number | null;
}

/** A store's URL, decoded. */
export interface StoreUrl {
  /** What stands before `://`. */
  readonly scheme: string;
  /** `null` where the URL names none. A password may be empty. */
  readonly user: string | null;
  readonly password: string | null;
  readonly servers: readonly ServerName[];
  /** The path with its slash, as it stands there, still encoded; `""` without one. */
  readonly path: string;
  readonly params: ReadonlyMap<string, string>;
}

/** A URL's text in pieces, nothing of it decoded. */
export interface UrlPieces {
  /** What stands before the `@`; `null` without one. */
  readonly userInfo: string | null;
  /** Servers with their commas. */
  readonly servers: string;
  readonly path: string;
  /** Without its `?`; `null` where there is none. */
  readonly query: string | null;
}

/** Takes apart what follows `scheme://`. A `/` or `?` in a password is encoded, as URLs want it, and so ends nothing. */
export function piecesOf(rest: string): UrlPieces {
  const [, authority = "", path = "", query] = /^([^/?]*)([^?]*)(?:\?(.*))?$/s.exec(rest) ?? [];
  const at = authority.lastIndexOf("@");
  return {
    userInfo: at < 0 ? null : authority.slice(0, at),
    servers: authority.slice(at + 1),
    path,
    query: query ?? null,
  };
}

/** @param url one that its scheme in src/coordinators/schemes/ has found right */
export function parseStoreUrl(url: string): StoreUrl {
  const colon = url.indexOf("://");
  const { userInfo, servers, path, query } = piecesOf(url.slice(colon + 3));
  const [user = null, password = null] = userInfo === null ? [] : splitAt(userInfo, ":").map(decodeURIComponent);
  return {
    scheme: url.slice(0, colon),
    user,
    password,
    servers: servers.split(",").map(parseServer),
    path,
    params: new Map(paramsOf(query)),
  };
}

/** A query's parameters, decoded, in their order. */
export function paramsOf(query: string | null): (readonly [name: string, value: string])[] {
  if (query === null || query === "") return [];
  return query.split("&").map((param) => {
    const [name = "", value = ""] = splitAt(param, "=").map(decodeURIComponent);
    return [name, value] as const;
  });
}

/** `host:port` as a URL has it, an IPv6 address in brackets. */
export function addressOf({ host, port }: ServerName, defaultPort: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port ?? defaultPort}`;
}

function parseServer(text: string): ServerName {
  const [, address, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  return { host: address ?? name ?? "", port: port === undefined ? null : Number(port) };
}

function splitAt(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
