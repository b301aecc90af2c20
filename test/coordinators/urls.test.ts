import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { COORDINATOR_SCHEMES, coordinatorUrlProblem, isEmbedded, sqliteUrl } from "../../src/coordinators/urls.js";
import { parseZooKeeperUrl } from "../../src/coordinators/zookeeper/url.js";

describe("a coordinator's URL is fine", () => {
  test.each([
    "zookeeper://zk1",
    "zookeeper://zk1:2181,zk2:2181,zk3:2181/holdline",
    "zookeeper://zk1/a/b/",
    "zookeeper://127.0.0.1:1,[::1]:65535/x",
    "zookeeper://bob:p%40ss%2Fword@zk1:2181/holdline",
    "zookeeper://zk_1.example.com",
    "mariadb://holdline@db1/locks",
    "postgresql://db1/app",
    "postgresql://holdline:p%40ss@db1:5432,[::1]:5433/my%20app?schema=my%20locks&sslmode=require&target_session_attrs=read-write",
    "postgresql://db1/app?sslrootcert=/etc/ca.pem&sslcert=/etc/me.pem&sslkey=/etc/me.key&password_file=/etc/pw",
    "mysql://holdline:p%40ss@db1:3306,[::1]:3307/my%20locks?prefix=prod_&tls=on",
    "mariadb://holdline@db1/locks?ca=/etc/ca.pem&cert=/etc/me.pem&key=/etc/me.key&password_file=/etc/pw",
    "etcd://etcd1",
    "etcd://etcd1:2379,[::1]:2380/holdline/",
    "etcd://holdline:p%40ss@etcd1/a%20b/c",
    "etcd://holdline@etcd1/holdline?password_file=/etc/pw",
    "etcd+tls://etcd1/holdline?ca=/etc/ca.pem&cert=/etc/me.pem&key=/etc/me.key",
    "redis://r1",
    "redis://r1:6379,r2/15?prefix=holdline",
    "rediss://:p%40ss@[::1]:6380/0?ca=/etc/ca.pem&cert=/etc/c.pem&key=/etc/k.pem",
    "redis://bob@r1?password_file=/etc/holdline/redis&durability=may-lose",
    "redis+sentinel://s1,s2:26379/mymaster?db=3",
    "rediss+sentinel://bob:pw@s1/mymaster?ca=/etc/ca.pem",
    "zookeeper://bob:pw@zk1/holdline?sasl=digest-md5",
    "zookeeper://bob@zk1?password_file=/etc/holdline/password",
    "zookeeper+tls://zk1:2281,zk2/holdline?ca=/etc/ca.pem&cert=/etc/a%20b.pem&key=/etc/a.key",
    "zookeeper+tls://bob@zk1?sasl=digest-md5&password_file=/etc/holdline/password&ca=/etc/ca.pem",
    "zookeeper+tls://[::1]:2281",
    "dynamodb://holdline",
    "dynamodb://my_locks.2?region=eu-central-1&prefix=team-a/locks",
    "dynamodb://holdline?endpoint=http://127.0.0.1:8000&ca=/etc/ca.pem",
    "sqlite:///var/lib/holdline/holdline.db",
    "sqlite:///srv/my%20locks.db",
    sqliteUrl("/srv/a b%?#/ü.db"),
  ])("%s", (url) => expect(coordinatorUrlProblem(url)).toBeNull());
});

describe("a coordinator's URL is refused", () => {
  test.each([
    ["zookeper://zk1", 'did you mean "zookeeper"?'],
    ["zk://zk1", "there is zookeeper, zookeeper+tls, sqlite"],
    ["zookeeper+ssl://zk1", 'did you mean "zookeeper+tls"?'],
    ["ZooKeeper://zk1", 'did you mean "zookeeper"?'],
    ["sqllite:///x", 'did you mean "sqlite"?'],
    ["zk1:2181", "must be a URL such as zookeeper://"],
    ["/var/lib/holdline.db", "must be a URL such as"],
    ["zookeeper:zk1", "must be a URL such as"],
    ["zookeeper://", "names no server"],
    ["zookeeper:///holdline", "names no server"],
    ["zookeeper://bob:pw@/holdline", "names no server"],
    ["zookeeper://:2181", 'has the server ":2181", which has no host name'],
    ["zookeeper://zk1,,zk2", "has a server which is empty"],
    ["zookeeper://zk1:", "has no proper port"],
    ["zookeeper://zk1:0", "has no proper port"],
    ["zookeeper://zk1:65536", "has no proper port"],
    ["zookeeper://zk1:21 81", "must not contain blanks"],
    ["zookeeper://zk1:2l81", 'has the server "zk1:2l81", which has no proper port'],
    ["zookeeper://::1:2181", "no"],
    ["zookeeper://zk1/a//b", 'two "/" in a row'],
    ["zookeeper://zk1/a/../b", '"." or ".." in its path'],
    ["zookeeper://zk1/zookeeper/x", "belongs to ZooKeeper itself"],
    ["zookeeper://bob@zk1", '"user:password" before the "@"'],
    ["zookeeper://bob:@zk1", '"user:password" before the "@"'],
    ["zookeeper://bob:p@ss@zk1", "is written %40"],
    ["zookeeper://zk1?timeout=5", 'has the unknown parameter "timeout"'],
    ["zookeeper://zk1?ca=/etc/ca.pem", 'has the parameter "ca", which needs zookeeper+tls://'],
    ["zookeeper://zk1?sasl=digest-md5", 'has the parameter "sasl" and no user'],
    ["zookeeper+tls://zk1?password_file=/x", 'has the parameter "password_file" and no user'],
    ["zookeeper://bob:pw@zk1?sasl=gssapi", 'has a parameter "sasl" that must be one of digest-md5'],
    ["zookeeper://bob@zk1?sasl=digest-md5", '"user:password" before the "@"'],
    ["zookeeper://bob:pw@zk1?password_file=/x", "must have a user alone"],
    ["zookeeper://bob@zk1?password_file=x", 'has a parameter "password_file" that must be the absolute path of a file'],
    ["zookeeper+tls://zk1?cert=/x", 'has a "cert" without its "key"'],
    ["zookeeper+tls://zk1?key=/x", 'has a "key" without its "cert"'],
    ["zookeeper+tls://zk1?ca=/x&ca=/y", 'has the parameter "ca" twice'],
    ["zookeeper://bob:1?x@zk1", 'has an "@" behind its "?"'],
    ["zookeeper://zk1/50%", "hexadecimal digits"],
    ["postgresql://holdline@db1", "names no database"],
    ["postgresql://holdline@db1/?schema=x", "names no database"],
    ["postgresql://holdline@db1/a/b", 'has a second "/" behind its servers'],
    ["postgresql://:pw@db1/app", 'must have a user before the "@"'],
    ["postgresql://holdline@/app", "names no server"],
    [`postgresql://db1/${"a".repeat(64)}`, "has a database whose name has more than 63 bytes"],
    [`postgresql://db1/app?schema=${"ü".repeat(32)}`, 'has a parameter "schema" that has more than 63 bytes'],
    ["postgresql://db1/app?schema=", 'has a parameter "schema" that must name a schema'],
    ["postgresql://db1/app?schema=pg_catalog", "must not name a schema of the server's own"],
    ["postgresql://db1/app?sslmode=on", 'has a parameter "sslmode" that must be one of disable, prefer'],
    ["postgresql://db1/app?sslcert=/etc/me.pem", 'must have both of "sslcert" and "sslkey"'],
    ["postgresql://db1/app?sslmode=disable&sslrootcert=/etc/ca.pem", 'has certificates although "sslmode" is disable'],
    ["postgresql://bob:pw@db1/app?password_file=/etc/pw", "has a password and a file with one"],
    ["postgresql://db1/app?target_session_attrs=standby", "must be one of read-write, primary"],
    ["postgresql://db1/app?ssl=on", 'has the unknown parameter "ssl"'],
    ["mariadb://db1/locks", "names no user before its servers"],
    ["mariadb://:pw@db1/locks", "names no user before its servers"],
    ["mariadb://holdline@db1", "names no database"],
    ["mariadb://holdline@db1/", "names no database"],
    ["mariadb://holdline@db1/a/b", "no database's name"],
    ["mariadb://holdline@db1/a%2Fb", "no database's name"],
    ["mariadb://holdline@/locks", "names no server"],
    ["mysql://holdline@db1/locks?prefix=Prod", 'has a parameter "prefix" that must be up to 32 of a-z'],
    ["mysql://holdline@db1/locks?tls=maybe", 'has a parameter "tls" that must be one of on, off'],
    ["mysql://holdline@db1/locks?cert=/etc/me.pem", 'must have both of "cert" and "key"'],
    ["mysql://holdline@db1/locks?tls=off&ca=/etc/ca.pem", 'has certificates although "tls" is off'],
    ["mysql://holdline:pw@db1/locks?password_file=/etc/pw", "has a password and a file with one"],
    ["mysql://holdline@db1/locks?ssl=on", 'has the unknown parameter "ssl"'],
    ["etcd://", "names no server"],
    ["etcd://holdline@etcd1", 'must have "user:password" before the "@", or "user" and a "password_file"'],
    ["etcd://holdline:pw@etcd1?password_file=/etc/pw", 'must have "user@" alone before the servers'],
    ["etcd://etcd1?password_file=/etc/pw", 'has a "password_file" and no user'],
    ["etcd://etcd1/a//b", 'two "/" in a row'],
    ["etcd://etcd1/a/../b", '"." or ".." in its path'],
    ["etcd://etcd1?ca=/etc/ca.pem", 'has the unknown parameter "ca"'],
    ["etcd+tls://etcd1?cert=/etc/me.pem", 'must have "cert" and "key" together'],
    ["etcd+tls://etcd1?ca=ca.pem", 'has a parameter "ca" that must be the absolute path of a file'],
    ["redis://r1/holdline", "a path that is no database's number"],
    ["redis://r1/0/1", "a path that is no database's number"],
    ["redis://bob@r1", '"user:password" or ":password" before the "@"'],
    ["redis://bob:p@ss@r1", "is written %40"],
    ["redis://r1?prefix=", "a text without braces"],
    ["redis://r1?prefix=%7Ba%7D", "a text without braces"],
    [`redis://r1?prefix=${"x".repeat(201)}`, "longer than 200 bytes"],
    ["redis://r1?ca=/etc/ca.pem", 'the unknown parameter "ca"'],
    ["rediss://r1?cert=/etc/c.pem", 'both of "cert" and "key"'],
    ["rediss://r1?ca=ca.pem", "must be the absolute path of a file"],
    ["redis://bob:pw@r1?password_file=/x", "a password and a file with one"],
    ["redis://bob@r1?pasword_file=/x", 'has the unknown parameter "pasword_file"; did you mean "password_file"?'],
    ["redis://bob@r1", 'or a "password_file"'],
    ["redis://r1?durability=disk", "must be one of may-lose"],
    ["redis+sentinel://s1", "must name, as its path, the primary"],
    ["redis+sentinel://s1/a/b", "must name, as its path, the primary"],
    ["redis+sentinel://s1/a?db=x", "must be a database's number"],
    ["dynamodb://", "names no table"],
    ["dynamodb://me@holdline", "must have no user"],
    ["dynamodb://ab", "3 to 255 letters"],
    ["dynamodb://holdline,other", "3 to 255 letters"],
    ["dynamodb://holdline/locks", "as ?prefix="],
    ["dynamodb://holdline?regoin=eu-central-1", 'did you mean "region"?'],
    ["dynamodb://holdline?region=EU", "such as eu-central-1"],
    ["dynamodb://holdline?endpoint=localhost:8000", "such as http://127.0.0.1:8000"],
    ["dynamodb://holdline?endpoint=http://me:pw%40localhost:8000", "the address of a server, such as http://127.0.0.1:8000"],
    ["dynamodb://holdline?prefix=%C3%BC", "of ASCII"],
    ["sqlite://holdline.db", "needs the absolute path of a file"],
    ["sqlite://", "needs the absolute path of a file"],
    ["sqlite:///var/lib/", "must name a file, not a directory"],
  ])("%s", (url, words) => expect(coordinatorUrlProblem(url)).toContain(words));

  test("without a word of what may be its password", () => {
    for (const url of [
      "mysql://bob:s3cret@db1:99999/x",
      "postgresql://bob:s3cret@db1:99999/x",
      "postgresql://bob:s3/cret@db1/x",
      "postgresql://bob:s3cret@db1/x?password_file=/etc/pw",
      "etcd://bob:s3cret@etcd1:99999/x",
      "etcd://bob:s3/cret@etcd1/x",
      "etcd://bob:s3cret@etcd1/x?password_file=/etc/pw",
      "mysql://bob:s3@cret@db1/x",
      "mysql://bob:s3/cret@db1/x",
      "zookeeper://bob:s3cret/x@zk1:1",
      "zookeeper://bob:s3cret@zk1:99999",
      "zookeeper://bob:s3@cret@zk1",
      "zookeeper://bob:1?s3cret@zk1",
      "zookeeper+tls://bob:1?s3cret&x=@zk1",
    ]) {
      expect(coordinatorUrlProblem(url)).not.toMatch(/s3|cret/);
    }
  });
});

describe("the name of a server", () => {
  const plain = ["a", "_", "7", "zk1", "ZK1", "zk-1.example.com", "zk_1", "_zk_", "127.0.0.1", "a-.-b"];
  const others = ["ü", "zürich.example.com", "zk-é", "主机1", "٣", "[::1]", "[FE80::1]", "[::ffff:127.0.0.1]"];

  test.each([...plain, ...others])("may be %s", (host) => {
    expect(coordinatorUrlProblem(`zookeeper://${host}:2181/x`)).toBeNull();
    expect(parseZooKeeperUrl(`zookeeper://${host}:2181/x`).servers).toEqual([{ host: host.replace(/^\[|\]$/g, ""), port: 2181 }]);
  });

  test.each([
    "-",
    ".",
    "-zk1",
    "zk1-",
    ".zk1",
    "zk1.",
    "zk!1",
    "zk1~",
    "ü-",
    ".ü",
    "zk€",
    "😀",
    "[]",
    "[zk1]",
    "[a]",
    "[cafe]",
    "[::1%25eth0]",
    "[::1",
    "::1]",
    "x[::1]",
  ])("may not be %s", (host) =>
    expect(coordinatorUrlProblem(`zookeeper://${host}`)).toMatch(/has no (?:proper )?host name|must be HOST or HOST:PORT/),
  );

  test("is judged alike by the short way that plain ones take and by that of all others", () => {
    const isRight = (host: string) => /^[\p{L}\p{N}_]$/u.test(host) || /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*[\p{L}\p{N}_]$/u.test(host);
    const characters = fc.constantFrom(..."aZ0_-.".repeat(3), ..."üİ主٣!~€\u0301");
    fc.assert(
      fc.property(fc.array(characters, { minLength: 1, maxLength: 8 }), (letters) => {
        const host = letters.join("");
        expect(coordinatorUrlProblem(`zookeeper://${host}`) === null, host).toBe(isRight(host));
        // The same name with a letter that no plain one has.
        const other = host.replace(/[aZ]/, "ü");
        expect(coordinatorUrlProblem(`zookeeper://${other}`) === null, other).toBe(isRight(host));
      }),
      { numRuns: 5_000 },
    );
  });
});

test("the known schemes", () =>
  expect(COORDINATOR_SCHEMES.toSorted()).toEqual([
    "dynamodb",
    "etcd",
    "etcd+tls",
    "mariadb",
    "mysql",
    "postgresql",
    "redis",
    "redis+sentinel",
    "rediss",
    "rediss+sentinel",
    "sqlite",
    "zookeeper",
    "zookeeper+tls",
  ]));

test.each([
  ["sqlite:///var/lib/holdline/holdline.db", true],
  ["zookeeper://zk1:2181/holdline", false],
  ["zookeeper://localhost", false],
])("%s names a file of this machine: %s", (url, expected) => expect(isEmbedded(url)).toBe(expected));
