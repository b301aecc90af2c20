// Coordinators' URLs, from configurations, variables, flags and the library; and their passwords, which no message repeats.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redactUrl, redactUrlsIn } from "../../src/config/secrets.js";
import { parseEtcdUrl } from "../../src/stores/etcd/url.js";
import { parseDynamoUrl } from "../../src/stores/dynamodb/url.js";
import { parseMysqlUrl } from "../../src/stores/mysql/url.js";
import { parsePostgresUrl } from "../../src/stores/postgresql/url.js";
import { nameOf, parseRedisUrl } from "../../src/stores/redis/url.js";
import { parseSqliteUrl } from "../../src/stores/sqlite/url.js";
import { coordinatorUrlProblem, sqliteUrl } from "../../src/coordinators/urls.js";
import { createLayout } from "../../src/coordinators/zookeeper/layout.js";
import { parseZooKeeperUrl } from "../../src/coordinators/zookeeper/url.js";
import { CASES, mangled, nastyText } from "./junk.js";
import { expectClear, expectShare, failOnPollution, open } from "./verdict.js";

failOnPollution();

const SECRET = "hunter2";
const right = fc.constantFrom(
  "zookeeper://zk1",
  "zookeeper://zk1:2181,zk2:2181,zk3:2181/holdline",
  `zookeeper://bob:${SECRET}@zk1:2181,[::1]:2182/a/b`,
  `zookeeper://bob:${SECRET}@zk1`,
  `mariadb://bob:${SECRET}@db1:3306,[::1]/locks?prefix=a_&tls=on`,
  "mysql://bob@db1/my%20locks?ca=/etc/ca.pem&cert=/etc/me.pem&key=/etc/me.key&password_file=/etc/pw",
  `postgresql://bob:${SECRET}@db1:5432,[::1]/app?schema=locks&sslmode=require`,
  "postgresql://db1/my%20app?sslrootcert=/etc/ca.pem&sslcert=/etc/me.pem&sslkey=/etc/me.key&password_file=/etc/pw",
  `etcd://bob:${SECRET}@etcd1:2379,[::1]/a/b%20c`,
  "etcd+tls://bob@etcd1/x?ca=/etc/ca.pem&cert=/etc/me.pem&key=/etc/me.key&password_file=/etc/pw",
  `zookeeper+tls://bob:${SECRET}@zk1:2281/a?sasl=digest-md5&ca=/etc/ca%20s.pem`,
  "zookeeper+tls://bob@zk1?password_file=/etc/holdline/password&cert=/etc/a.crt&key=/etc/a.key",
  "dynamodb://holdline?region=eu-central-1",
  "dynamodb://my.locks?endpoint=https://127.0.0.1:8000&prefix=team-a/locks&ca=/etc/ca.pem",
  "sqlite:///var/lib/holdline/holdline.db",
  "sqlite:///srv/my%20locks%3F.db",
  `rediss://bob:${SECRET}@r1:6380,[::1]/15?prefix=a%2Fb&ca=/etc/ca.pem`,
  "redis+sentinel://s1,s2:26380/mymaster?db=3&durability=may-lose",
);
const urls = fc.oneof(
  { weight: 5, arbitrary: mangled(right, 3) },
  nastyText,
  fc
    .tuple(
      fc.constantFrom(
        "zookeeper://",
        "sqlite:///",
        "zookeeper://zk1/",
        "zookeeper+tls://zk1?",
        `zookeeper://bob:${SECRET}@`,
        `mysql://bob:${SECRET}@db1/`,
      ),
      nastyText,
    )
    .map((parts) => parts.join("")),
);

/** @returns whether it was taken */
function expectPartsOrRefusal(url: string): boolean {
  const read = open(() => coordinatorUrlProblem(url), []);
  const problem = "value" in read ? read.value : "";
  if (problem !== null) {
    // What has no "@" behind it cannot be known to be a password.
    expectClear(problem, url.includes(`${SECRET}@`) ? SECRET : undefined);
    return false;
  }
  if (url.startsWith("sqlite:")) {
    const path = parseSqliteUrl(url);
    expect(path).toMatch(/^\/[^\0]*[^/\0]$/);
    return true;
  }
  if (/^etcd(\+tls)?:/.test(url)) {
    const { endpoints, prefix, credentials } = parseEtcdUrl(url);
    expect(endpoints.length).toBeGreaterThan(0);
    for (const { name, origin, isSecure } of endpoints) {
      expect(name).toMatch(/^[^\s/@,]+:\d+$/);
      expect(origin).toBe(`${isSecure ? "https" : "http"}://${name}`);
    }
    expect(prefix).toMatch(/^(?:\/[^/]+)+$/);
    expect(credentials?.user).not.toBe("");
    return true;
  }
  if (/^(mariadb|mysql):/.test(url)) {
    const { servers, user, database, prefix } = parseMysqlUrl(url);
    expect(servers.length).toBeGreaterThan(0);
    for (const { host, port } of servers) {
      expect(host).toMatch(/^[^\s/@,]+$/);
      expect(port === null || (port > 0 && port < 65_536)).toBe(true);
    }
    expect(user).not.toBe("");
    expect(database).toMatch(/^[^/\\.\p{Cc}]+$/u);
    expect(prefix).toMatch(/^[a-z][a-z0-9_]*$/);
    return true;
  }
  if (url.startsWith("postgresql:")) {
    const { servers, user, database, schema } = parsePostgresUrl(url);
    expect(servers.length).toBeGreaterThan(0);
    for (const { host, port } of servers) {
      expect(host).toMatch(/^[^\s/@,]+$/);
      expect(port > 0 && port < 65_536).toBe(true);
    }
    expect(user).not.toBe("");
    // What the server would not cut off.
    for (const name of [database, schema]) {
      expect(name).toMatch(/^[^\0]+$/);
      expect(Buffer.byteLength(name)).toBeLessThan(64);
    }
    return true;
  }
  if (url.startsWith("redis")) {
    const { servers, database, sentinelName, prefix, name } = parseRedisUrl(url);
    expect(servers.map(nameOf).join()).toMatch(/^(?:[^\s/@,]+:\d+)(?:,[^\s/@,]+:\d+)*$/);
    expect(database).toBeGreaterThanOrEqual(0);
    expect(sentinelName).not.toBe("");
    expect(prefix).toMatch(/^[^{}\p{Cc}]+$/u);
    if (url.includes(`${SECRET}@`)) expect(name).not.toContain(SECRET);
    return true;
  }
  if (url.startsWith("dynamodb:")) {
    const { table, region, endpoint, prefix } = parseDynamoUrl(url);
    expect(table).toMatch(/^[\w.-]{3,255}$/);
    expect(region ?? "eu-central-1").toMatch(/^[a-z0-9-]+$/);
    expect(endpoint?.host).not.toBe("");
    expect(prefix).toMatch(/^[!-~]{1,200}$/);
    return true;
  }
  const { servers, root, login, tls } = parseZooKeeperUrl(url);
  expect(servers.length).toBeGreaterThan(0);
  for (const { host, port } of servers) {
    expect(host).toMatch(/^[^\s/@,]+$/);
    expect(Number.isInteger(port) && port > 0 && port < 65_536).toBe(true);
  }
  for (const file of [tls?.ca, tls?.cert, tls?.key, typeof login?.password === "object" ? login.password.file : undefined])
    expect(file ?? "/x").toMatch(/^\/[^\0]*[^/\0]$/);
  expect(tls?.cert === undefined).toBe(tls?.key === undefined);
  expect(login?.user).not.toBe("");
  expect(login?.password).not.toBe("");
  // What ZooKeeper takes for a path, and nothing beside or above the root.
  expect(root).toMatch(/^(?:\/[^/\p{Cc}\p{Co}\p{Cs}\ufff0-\uffff\u{10000}-\u{10ffff}]+)+$/u);
  expect(root.split("/").some((segment) => segment === "." || segment === "..")).toBe(false);
  expect(createLayout(root).lock("a/b")).toBe(`${root}/locks/a/b`);
  return true;
}

test("any text is a URL whose parts are what they should be, or is refused in clear words without its password", () => {
  let accepted = 0;
  fc.assert(
    fc.property(urls, (url) => {
      if (expectPartsOrRefusal(url)) accepted += 1;
    }),
    { numRuns: CASES },
  );
  expectShare(accepted, 1 / 20, "URLs that are taken");
});

// Generated input has found these once.
test.each<[what: string, url: string]>([
  ["a database whose path ends with an encoded slash", "sqlite:///var/lib/holdline%2F"],
  ["a database with a NUL in its path", "sqlite:///var/lib/%00"],
  ["a character of no script in ZooKeeper's path", "zookeeper://zk1/\ue000"],
  ["a character of two units in ZooKeeper's path", "zookeeper://zk1/😀"],
  ["half a character in ZooKeeper's path", "zookeeper://zk1/a\ud800"],
  ["a path above the root", "zookeeper://zk1/a/../b"],
  ["an unknown scheme without end", `${"x".repeat(20_000)}://zk1`],
  ["an unknown scheme that moves the cursor", "\x1b[2J://zk1"],
  ["a URL without end", `zookeeper://zk1/${"a".repeat(40_000)}`],
  ["slashes without end", `zookeeper://zk1/${"/".repeat(30_000)}x`],
])("%s is refused in clear words", (_, url) => {
  expect(expectPartsOrRefusal(url)).toBe(false);
});

test("a password behind an encoded @ is not repeated", () => {
  expect(coordinatorUrlProblem(`zookeeper://bob:${SECRET}%40zk1:2181/x`)).not.toContain(SECRET);
});

test("the path of a file comes back out of its URL", () => {
  const path = fc.array(
    nastyText.filter((text) => text.isWellFormed() && text !== ""),
    { minLength: 1, maxLength: 3 },
  );
  fc.assert(
    fc.property(path, (segments) => {
      const file = `/${segments.join("/")}`.replaceAll("\0", "");
      if (file.endsWith("/") || file.length > 1_000) return;
      const url = sqliteUrl(file);
      expect(coordinatorUrlProblem(url)).toBeNull();
      expect(parseSqliteUrl(url)).toBe(file);
    }),
    { numRuns: CASES },
  );
});

describe("a password", () => {
  test("is hidden, whatever it consists of", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[!-~]{4,20}$/), fc.constantFrom("", "see ", "curl -x "), (password, before) => {
        const marked = `QQ${password.replaceAll(/[?&"'<>]/g, "")}QQ`;
        const url = `zookeeper://bob:${marked}@zk1:2181/x`;
        expect(redactUrl(url)).not.toContain("QQ");
        expect(redactUrlsIn(`${before}${url} and more`)).not.toContain("QQ");
      }),
      { numRuns: CASES },
    );
  });

  test("is looked for in any text in time", () => {
    fc.assert(
      fc.property(nastyText, (text) => {
        const read = open(() => redactUrlsIn(text), []);
        if ("value" in read) expect(redactUrlsIn(read.value)).toBe(read.value);
      }),
      { numRuns: CASES },
    );
    for (const piece of ["a", "a:", "a@", "a/", "?pass", "pass", "x://", "x://?pass", "1.", "-:", "&a=", " a:b@"]) {
      const text = piece.repeat(60_000);
      for (const whole of [text, `x://${text}`, `x://?${text}`, `a:${text}`]) open(() => redactUrlsIn(whole), []);
    }
  });
});

test("URLs without end are looked at once", () => {
  for (const piece of ["/", "a", ",", ":", "@", "[", "%41", "a.", "-"])
    for (const start of ["zookeeper://", "zookeeper://zk1/", "zookeeper://zk1", "sqlite:///", ""])
      for (const count of [5_000, 300_000]) open(() => coordinatorUrlProblem(`${start}${piece.repeat(count)}x`), []);
});
