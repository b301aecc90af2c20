// The server's settings: who may do what, how many machines may reboot, where it listens.
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { describeSettings } from "../../src/config/describe.js";
import { load, problemsOf } from "./loading.js";

const HASH = `scrypt:32768:8:3:${"A".repeat(22)}:${"b-_9".repeat(10)}abc`;

const TEXT = `
node: web-07
principal: p
coordinator: sqlite:///srv/holdline.db
state_dir: /srv
serve: { listen: 0.0.0.0, port: 8443, cert: /etc/s.crt, key: /etc/s.key, client_ca: /etc/ca.crt, rate: 0 }
access:
  anonymous: {}
  ann: { password: "${HASH}", may: [read, lock, clear] }
  ci: { token: "${HASH}", certificate: ci.example.com, may: lock, locks: ["app/*", shared] }
groups: { default: 1, rack-12.a: 3 }
`;

test("are read", async () => {
  const { serve, access, groups } = await load(TEXT);
  expect(serve).toEqual({
    listen: "0.0.0.0",
    port: 8_443,
    cert: "/etc/s.crt",
    key: "/etc/s.key",
    clientCa: "/etc/ca.crt",
    rate: 0,
  });
  const nothing = { password: null, token: null, certificate: null };
  expect(Object.fromEntries(access)).toEqual({
    anonymous: { ...nothing, may: ["read"], locks: ["*"] },
    ann: { ...nothing, password: HASH, may: ["read", "lock", "clear"], locks: ["*"] },
    ci: { password: null, token: HASH, certificate: "ci.example.com", may: ["lock"], locks: ["app/*", "shared"] },
  });
  expect(Object.fromEntries(groups)).toEqual({ default: 1, "rack-12.a": 3 });
});

test("name hosts as their locks are named", async () => {
  const locks = "[host/DC01, host/Web-*, host/*, Host/DC01, app/Web]";
  const { access } = await load(`access: { ann: { token: "${HASH}", locks: ${locks} } }`);
  expect(access.get("ann")?.locks).toEqual(["host/dc01", "host/web-*", "host/*", "Host/DC01", "app/Web"]);
});

test("have defaults, and variables of their own", async () => {
  expect(await load(null)).toMatchObject({
    serve: { listen: "127.0.0.1", port: 3_000, cert: null, key: null, clientCa: null, rate: 500 },
    access: new Map(),
    groups: new Map(),
  });
  const env = { HOLDLINE_SERVE_LISTEN: "::1", HOLDLINE_SERVE_PORT: "0", HOLDLINE_SERVE_CERT: "c.pem", HOLDLINE_SERVE_RATE: "7" };
  const { serve } = await load(TEXT, { env, around: { cwd: "/here" } });
  expect(serve).toMatchObject({ listen: "::1", port: 0, cert: "/here/c.pem", key: "/etc/s.key", rate: 7 });
});

test("are described without secrets, and otherwise so that they read back as the same", async () => {
  const settings = await load(TEXT);
  const described = stringify(describeSettings(settings));
  expect(described).not.toContain("scrypt:");
  expect(described.match(/\*\*\*/g)).toHaveLength(2);
  const again = await load(described.replaceAll('"***"', HASH).replaceAll("***", HASH));
  expect({ ...again, file: null, origins: null }).toEqual({ ...settings, file: null, origins: null });
});

describe("wrong settings are refused", () => {
  const hash = (cost: string) => `access: { a: { token: "scrypt:${cost}:${"A".repeat(22)}:${"A".repeat(43)}" } }`;

  test.each([
    ["access: [a]", /^1: access: must be a/],
    ["access: { a: {} }", /access\.a: must have a password, a token or a certificate/],
    [`access: { a: { token: "${HASH}", lock: x } }`, /access\.a\.lock: is an unknown key; did you mean "locks"/],
    [`access: { "a:b": { token: "${HASH}" } }`, /must be named without ":"/],
    [`access: { anonymous: { token: "${HASH}" } }`, /access\.anonymous: must have no credentials/],
    [`access: { a: { token: "${HASH}", may: [read, write] } }`, /access\.a\.may: must be a list of rights: read, lock, clear/],
    [`access: { a: { token: "${HASH}", may: [] } }`, /access\.a\.may: must be a list of rights/],
    [`access: { a: { token: "${HASH}", locks: [1] } }`, /access\.a\.locks: must be a list of patterns/],
    [`access: { a: { token: "${HASH}", locks: [""] } }`, /access\.a\.locks: must be a list of patterns/],
    // With these, every request would fail.
    [hash("32767:8:3"), /cost is out of range/],
    [hash("32768:0:3"), /cost is out of range/],
    [hash("32768:8:0"), /cost is out of range/],
    [hash("4194304:32:1"), /cost is out of range/],
    ["groups: { default: 0 }", /groups\.default: must be a whole number from 1/],
    ['groups: { "a b": 1 }', /must be named with letters, digits/],
    ["serve: { port: 65536 }", /serve\.port: must be a whole number from 0 to 65535/],
    ["serve: { rate: -1 }", /serve\.rate: must be a whole number from 0/],
    ["serve: { tls: true }", /serve\.tls: /],
  ])("%s", async (text, words) => {
    expect(await problemsOf(text)).toEqual([expect.stringMatching(words)]);
  });

  test("a secret in the place of its hash is not repeated", async () => {
    for (const key of ["password", "token"]) {
      const [problem = ""] = await problemsOf(`access: { a: { ${key}: hunter2-hunter2 } }`);
      expect(problem).toContain(`access.a.${key}: must be a hash that holdline serve --hash printed`);
      expect(problem).not.toContain("hunter2");
    }
  });
});
