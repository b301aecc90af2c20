// What the server is told to run with: by the configuration, by Locker's variables, by flags; and what it refuses, each time
// with exit code 78 or 64 and words that name what is wrong. The refusals are those of the built program.
import { describe, expect, test } from "vitest";
import { serveOptionsOf } from "../../src/server/options.js";
import { load } from "../config/loading.js";
import { openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { within } from "../support/wait.js";
import { makeCertificate, PEM_PROBLEM } from "../support/certificates.js";
import { startActivated } from "./activated.js";
import { startServer } from "./serving.js";

failOnLeaks();

const PID = 4_711;
const HASH = `scrypt:1024:1:1:${"A".repeat(22)}:${"A".repeat(43)}`;

interface Told {
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly listen?: string;
  readonly insecure?: boolean;
}

async function optionsOf({ config = "{}", env = {}, listen, insecure = false }: Told) {
  const settings = await load(config, { env });
  return serveOptionsOf(settings, { listen: listen ?? null, insecure }, env, PID);
}

async function refusalOf(told: Told): Promise<string> {
  return optionsOf(told).then(
    (options) => `served on ${options.listen}`,
    (error: Error) => error.message,
  );
}

describe("where it listens", () => {
  test.each([
    ["by default", {}, "127.0.0.1", 3_000],
    ["by the configuration", { config: "serve: { listen: 127.0.0.2, port: 80 }" }, "127.0.0.2", 80],
    ["by PORT, over the configuration", { config: "serve: { port: 80 }", env: { PORT: "81" } }, "127.0.0.1", 81],
    ["by its own variable, over PORT", { env: { PORT: "81", HOLDLINE_SERVE_PORT: "82" } }, "127.0.0.1", 82],
    ["by the flag, over all", { env: { PORT: "81" }, listen: "127.0.0.3:83" }, "127.0.0.3", 83],
    ["by a flag without a port", { env: { PORT: "81" }, listen: "127.0.0.3" }, "127.0.0.3", 81],
    ["by a flag without an address", { listen: ":83" }, "127.0.0.1", 83],
    ["with an empty PORT, which is none", { env: { PORT: "" } }, "127.0.0.1", 3_000],
    ["in IPv6", { listen: "[::1]:83" }, "::1", 83],
    ["in IPv6 without a port", { listen: "::1" }, "::1", 3_000],
    ["by a name", { listen: "localhost:0" }, "localhost", 0],
  ] as const)("%s", async (_, told, listen, port) => {
    expect(await optionsOf(told)).toMatchObject({ listen, port });
  });

  test.each([
    [{ env: { PORT: "65536" } }, /^PORT: "65536" is no port/],
    [{ env: { PORT: "80; rm -rf" } }, /^PORT: .* is no port/],
    [{ listen: "127.0.0.1:99999" }, /^--listen: .* is no port/],
    [{ listen: "" }, /^--listen: "" is no address/],
    [{ listen: "a:b:c" }, /^--listen: "a:b:c" is no address/],
  ] as const)("not with %j", async (told, words) => {
    expect(await refusalOf(told)).toMatch(words);
  });
});

describe("a socket of the service manager's", () => {
  const env = { LISTEN_PID: String(PID), LISTEN_FDS: "1", AUTH_USER: "u", AUTH_PASS: "p" };

  test("is served when it is for this process", async () => {
    expect((await optionsOf({ env })).fd).toBe(3);
    expect((await optionsOf({ env: { ...env, LISTEN_PID: "1" } })).fd).toBeNull();
    expect((await optionsOf({ env: { ...env, LISTEN_FDS: "0" } })).fd).toBeNull();
  });

  test("is refused with a second one that nobody would answer on", async () => {
    expect(await refusalOf({ env: { ...env, LISTEN_FDS: "2" } })).toContain("2 sockets");
  });

  test("may be anywhere, and so needs credentials", async () => {
    const { LISTEN_PID, LISTEN_FDS } = env;
    expect(await refusalOf({ env: { LISTEN_PID, LISTEN_FDS } })).toContain("could lock and clear without credentials");
  });
});

describe("beyond this machine", () => {
  const anonymous = (may: string) => `access: { anonymous: { may: [${may}] }, bob: { token: "${HASH}", may: [lock] } }`;

  test.each([
    ["nobody needs credentials", {}],
    ["anonymous may lock, although bob has a token", { config: anonymous("read, lock") }],
    ["anonymous may clear", { config: anonymous("clear") }],
  ] as const)("it does not start when %s", async (_, told) => {
    for (const listen of ["0.0.0.0", "::", "10.1.2.3", "lock.example.com", "127.1"])
      expect(await refusalOf({ ...told, listen })).toContain("could lock and clear without credentials");
    for (const listen of ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
      expect(await refusalOf({ ...told, listen })).toBe(`served on ${listen}`);
    expect(await refusalOf({ ...told, listen: "0.0.0.0", insecure: true })).toBe("served on 0.0.0.0");
  });

  test.each([
    ["anonymous may only look", { config: anonymous("read") }],
    ["there are Locker's credentials", { env: { AUTH_USER: "u", AUTH_PASS: "p" } }],
    ["all need credentials", { config: `access: { bob: { token: "${HASH}" } }` }],
  ] as const)("it starts when %s", async (_, told) => {
    expect(await refusalOf({ ...told, listen: "0.0.0.0" })).toBe("served on 0.0.0.0");
  });
});

describe("credentials of Locker's", () => {
  test.each([
    [{ AUTH_USER: "u" }, "AUTH_USER is set and AUTH_PASS is not"],
    [{ AUTH_PASS: "p" }, "AUTH_PASS is set and AUTH_USER is not"],
    [{ AUTH_PASS: "p", AUTH_USER: "" }, "AUTH_PASS is set and AUTH_USER is not"],
    [{ SSL_CERT: "c" }, "SSL_CERT is set and SSL_KEY is not"],
    [{ SSL_KEY: "k" }, "SSL_KEY is set and SSL_CERT is not"],
    [{ AUTH_USER: "a:b", AUTH_PASS: "p" }, 'AUTH_USER: must be without ":"'],
    [{ AUTH_USER: "a\nb", AUTH_PASS: "p" }, "AUTH_USER: must be text without control characters"],
    // It would have given everybody all rights.
    [{ AUTH_USER: "anonymous", AUTH_PASS: "p" }, "AUTH_USER: must not be anonymous"],
  ] as const)("%j is refused", async (env, words) => {
    expect(await refusalOf({ env })).toContain(words);
  });

  test("do not take the place of somebody's who is configured", async () => {
    const told = { config: `access: { bob: { token: "${HASH}" } }`, env: { AUTH_USER: "bob", AUTH_PASS: "p" } };
    expect(await refusalOf(told)).toContain("which access: in the configuration has already");
  });
});

describe("the program", () => {
  if (PEM_PROBLEM !== null) console.log(`some of options.test.ts is skipped: ${PEM_PROBLEM}`);

  async function ended(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
    const node = (await openFleet("sqlite")).node("server", {}, { env });
    return within(node.start("serve", ...args).ended, "the program to end");
  }

  test.each([
    ["one variable without the other", { AUTH_USER: "u" }, [], 78, "AUTH_USER is set and AUTH_PASS is not"],
    ["an open address", {}, ["--listen", "0.0.0.0:0"], 78, "--insecure"],
    ["an address that it does not have", {}, ["--listen", "192.0.2.1:0", "--insecure"], 78, "this machine has no such address"],
    ["a port that is none", {}, ["--listen", "127.0.0.1:x"], 64, "is no address"],
    [
      "a certificate that is not there",
      { SSL_CERT: "/nowhere/c", SSL_KEY: "/nowhere/k" },
      [],
      78,
      "SSL_CERT: /nowhere/c is not there",
    ],
    ["a certificate that is a directory", { SSL_CERT: "/", SSL_KEY: "/" }, [], 78, "SSL_CERT: / is a directory"],
    [
      "a certificate that is none",
      { SSL_CERT: "/etc/passwd", SSL_KEY: "/etc/passwd" },
      [],
      78,
      "SSL_CERT: /etc/passwd holds no certificate",
    ],
    [
      "a setting's file that is not there",
      { HOLDLINE_SERVE_CERT: "/nowhere/c", HOLDLINE_SERVE_KEY: "/k" },
      [],
      78,
      "serve.cert: /nowhere/c",
    ],
  ] as const)("says in a few words what is wrong with %s", async (_, env, args, code, words) => {
    const { code: given, stderr } = await ended(env, ...args);
    expect(stderr).toContain(words);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(given).toBe(code);
  });

  test("says that the descriptor it was given is no socket", async () => {
    const { config } = (await openFleet("sqlite")).node("server", {});
    const activated = startActivated(config, "ignore", { AUTH_USER: "u", AUTH_PASS: "p" });
    expect(await within(activated.ended, "the program to end")).toBe(78);
    expect(activated.stderr()).toContain("cannot listen on descriptor 3");
  });

  test("says that a port is taken", async () => {
    const fleet = await openFleet("sqlite");
    const { url } = await startServer(fleet);
    const { host } = new URL(url);
    const other = await within(fleet.node("other", {}).start("serve", "--listen", host).ended, "the second server to end");
    expect(other).toMatchObject({ code: 78 });
    expect(other.stderr).toContain(`cannot listen on ${host}: something else listens there`);
  });

  test.skipIf(PEM_PROBLEM !== null)("says that a key is another certificate's, or none", async () => {
    const { directory } = await openFleet("sqlite");
    const [one, other] = [makeCertificate(directory, "one"), makeCertificate(directory, "other")];
    const mixed = await ended({ SSL_CERT: one.cert, SSL_KEY: other.key });
    expect(mixed).toMatchObject({ code: 78 });
    expect(mixed.stderr).toContain(`SSL_KEY: ${other.key} is not the key of the certificate ${one.cert}`);
    const none = await ended({ SSL_CERT: one.cert, SSL_KEY: one.cert });
    expect(none).toMatchObject({ code: 78 });
    expect(none.stderr).toContain(`SSL_KEY: ${one.cert} holds no key in PEM form`);
  });
});
