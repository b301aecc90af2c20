import { describe, expect, test } from "vitest";
import { isSecretName, redactUrl, redactUrlsIn } from "../../src/config/secrets.js";

describe("a URL's password is hidden", () => {
  test.each([
    ["zookeeper://bob:s3cret@zk1:2181,zk2/x", "zookeeper://bob:***@zk1:2181,zk2/x"],
    ["zookeeper://bob:s3/c@ret@zk1", "zookeeper://bob:***@zk1"],
    ["zookeeper://zk1:2181/x", "zookeeper://zk1:2181/x"],
    ["zookeeper://zk1/a@b:c", "zookeeper://zk1/a@b:c"],
    ["zookeeper:bob:s3cret@zk1", "zookeeper:***@zk1"],
    ["bob:s3cret@zk1", "bob:***@zk1"],
    ["https://x/y?password=s3cret&b=1", "https://x/y?password=***&b=1"],
    ["sqlite:///var/lib/x.db", "sqlite:///var/lib/x.db"],
    // Where a secret is, is no secret.
    [
      "zookeeper+tls://bob@zk1/x?password_file=/etc/pw&key=/etc/a.key",
      "zookeeper+tls://bob@zk1/x?password_file=/etc/pw&key=/etc/a.key",
    ],
    ["zookeeper+tls://bob:s3cret@zk1/x?key=%2Fetc%2Fa.key", "zookeeper+tls://bob:***@zk1/x?key=%2Fetc%2Fa.key"],
    ["zookeeper+tls://bob@zk1?password_file=s3cret&key=s3cret", "zookeeper+tls://bob@zk1?password_file=***&key=***"],
    ["https://x/y?key=/s3cret&password_file=/s3cret", "https://x/y?key=***&password_file=***"],
    ["", ""],
  ])("%s", (url, shown) => expect(redactUrl(url)).toBe(shown));

  test("in any text", () => {
    expect(redactUrlsIn("curl -x http://u:pw@proxy:1 'https://a:b@c/d'")).toBe("curl -x http://u:***@proxy:1 'https://a:***@c/d'");
    expect(redactUrlsIn("git clone git+https://t0ken@c/d")).toBe("git clone git+https://***@c/d");
    // A user alone is what somebody has to see who looks for what is wrong.
    for (const url of ["postgresql://holdline@db1:5432,db2/app?schema=x", "redis://bob@r1/0?password_file=/etc/pw"])
      expect(redactUrlsIn(`not copied to ${url}`)).toBe(`not copied to ${url}`);
    expect(redactUrlsIn("bob:s3//cret@zk1")).toBe("bob:***@zk1");
    expect(redactUrlsIn("mail ann@example.com at 12:30")).toBe("mail ann@example.com at 12:30");
  });
});

test("variables whose names say that they are secrets", () => {
  for (const name of ["DB_PASSWORD", "password", "API_TOKEN", "AWS_SECRET", "SSH_KEY", "PGPW", "Credentials"]) {
    expect([name, isSecretName(name)]).toEqual([name, name !== "PGPW"]);
  }
  for (const name of ["PATH", "KEYBOARD", "HOME", "LANG"]) expect(isSecretName(name)).toBe(false);
});
