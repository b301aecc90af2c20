// Receivers that hang, refuse and die: the notifier tells whom it can, holds up nothing, and keeps secrets.
import { existsSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Freeze } from "../../src/locks/freezes.js";
import type { ClaimEvent, NotifiedEvent } from "../../src/locks/notifier.js";
import { openNotifier, type NotifierOptions, type Receiver } from "../../src/notify/notifier.js";
import { makeCertificate, PEM_PROBLEM } from "../support/certificates.js";
import { failOnLeaks } from "../support/leaks.js";
import { freePorts } from "../support/ports.js";
import { freshDirectory } from "../support/roots.js";
import { until, within } from "../support/wait.js";
import { startReceiver } from "./receivers.js";

failOnLeaks();

const FAILED: ClaimEvent = {
  event: "failed",
  lock: "restart/nginx",
  claim: "a592e3fa-fe9c-4afa-bd71-9028b85ca2ca",
  owner: { node: "web-07", group: "web", principal: "root@web-07", action: "restart-nginx" },
  by: null,
  reason: null,
  failure: { exitCode: 1, signal: null, message: "exit code 1", output: "testing\nunknown directive\n" },
};

const FREEZE: Freeze = {
  ...{ id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301", locks: ["deploy/*", "restart/*"], node: null, group: "web" },
  ...{ reason: "the sale", by: "ann@desk", since: Date.UTC(2026, 10, 27), until: null },
};

const EVERYTHING = ["failed", "stale", "recovered", "cleared", "frozen"] as const;
const SECRET = "T0KEN-b1946ac9";

/** A notifier with what it logs; closed with the test. */
function notifierFor(to: readonly Receiver["to"][], limits: Partial<NotifierOptions> = {}, on: Receiver["on"] = EVERYTHING) {
  const logged: string[] = [];
  const note = (details: object, message: string) => void logged.push(`${message} ${JSON.stringify(details)}`);
  const log = { debug: () => undefined, info: note, warn: note, error: note };
  const receivers = to.map((one) => ({ on, to: one }));
  const notifier = openNotifier(receivers, { log, ...limits });
  onTestFinished(() => notifier.close());
  return { notifier, logged };
}

// Longer than any test: what ends a delivery then is not the time.
const NEVER = { deliveryMs: 600_000, farewellMs: 600_000 };

describe("a webhook", () => {
  test("gets the event as JSON, with a text for people", async () => {
    const { origin, asked } = await startReceiver();
    const { notifier, logged } = notifierFor([{ url: `${origin}/services/${SECRET}?x=1` }], NEVER);
    notifier.tell(FAILED);
    await notifier.close();
    expect(asked).toEqual([
      {
        method: "POST",
        path: `/services/${SECRET}?x=1`,
        type: "application/json; charset=utf-8",
        body: {
          event: "failed",
          at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
          text: "FAILED: restart-nginx on web-07 (lock restart/nginx): exit code 1; last output: unknown directive",
          ...{ lock: "restart/nginx", claim: FAILED.claim, action: "restart-nginx", node: "web-07", group: "web" },
          ...{ principal: "root@web-07", by: null, reason: null, failure: FAILED.failure, freeze: null },
        },
      },
    ]);
    expect(logged).toEqual([]);
  });

  test("is told of one event after the other, in their order, and of nothing that it did not ask for", async () => {
    const answers: (() => void)[] = [];
    const { origin, asked } = await startReceiver((response) => void answers.push(() => response.end()));
    const { notifier } = notifierFor([{ url: origin }], NEVER, ["stale", "recovered"]);
    for (const event of ["failed", "stale", "cleared", "recovered"] as const) notifier.tell({ ...FAILED, event });
    await until(() => answers.length === 1, "the first event");
    expect(asked.map(({ body }) => body["event"])).toEqual(["stale"]);
    answers[0]?.();
    await until(() => answers.length === 2, "the second event");
    answers[1]?.();
    await notifier.close();
    expect(asked.map(({ body }) => body["event"])).toEqual(["stale", "recovered"]);
  });

  test.each([
    [500, "it answered 500"],
    [404, "it answered 404"],
    [302, "it answered 302, and redirects are not followed"],
  ])("that answers %i has not been told, and the log says so without its secret", async (status, words) => {
    const elsewhere = await startReceiver();
    const { origin, asked } = await startReceiver((response) => {
      response.writeHead(status, { Location: `${elsewhere.origin}/${SECRET}` }).end(SECRET);
    });
    const host = origin.replace("http://", "");
    const { notifier, logged } = notifierFor([{ url: `http://user:${SECRET}@${host}/hooks/${SECRET}` }], NEVER);
    notifier.tell(FAILED);
    await notifier.close();
    expect(asked).toHaveLength(1);
    expect(elsewhere.asked).toEqual([]);
    expect(logged).toEqual([`${origin} was not told (failed: restart/nginx): ${words} {"receiver":"${origin}"}`]);
  });

  test("that nobody serves is logged without its secret", async () => {
    const origin = `http://127.0.0.1:${(await freePorts(1))[0]}`;
    const { notifier, logged } = notifierFor([{ url: `${origin}/hooks/${SECRET}` }], NEVER);
    notifier.tell(FAILED);
    await notifier.close();
    expect(logged.join()).toContain(`${origin} was not told (failed: restart/nginx): connect ECONNREFUSED`);
    expect(logged.join()).not.toContain(SECRET);
  });

  test("that never answers is given up, and the others are told meanwhile", async () => {
    const hanging = await startReceiver(() => undefined);
    const well = await startReceiver();
    const { notifier, logged } = notifierFor([{ url: `${hanging.origin}/${SECRET}` }, { url: well.origin }], {
      ...NEVER,
      deliveryMs: 20,
    });
    notifier.tell(FAILED);
    notifier.tell({ ...FAILED, event: "stale", failure: null });
    await notifier.close();
    expect(well.asked).toHaveLength(2);
    expect(logged).toEqual([
      `${hanging.origin} was not told (failed: restart/nginx): it took longer than 0.02 s {"receiver":"${hanging.origin}"}`,
      `${hanging.origin} was not told (stale: restart/nginx): it took longer than 0.02 s {"receiver":"${hanging.origin}"}`,
    ]);
  });

  test("whose answer has no end has been told", async () => {
    const endless = await startReceiver((response) => void response.writeHead(200).write("and so on"));
    const { notifier, logged } = notifierFor([{ url: endless.origin }], NEVER);
    notifier.tell(FAILED);
    await notifier.close();
    expect([endless.asked.length, logged]).toEqual([1, []]);
  });

  test("that hangs holds closing up only for a moment, and each event that it missed is logged", async () => {
    const hanging = await startReceiver(() => undefined);
    const { notifier, logged } = notifierFor([{ url: hanging.origin }], { deliveryMs: 600_000, farewellMs: 20 });
    notifier.tell(FAILED);
    notifier.tell({ ...FAILED, event: "stale", failure: null });
    await within(notifier.close(), "closing");
    expect(logged.map((line) => line.replace(/ \{.*/, ""))).toEqual([
      `${hanging.origin} was not told (failed: restart/nginx): holdline ended before that`,
      `${hanging.origin} was not told (stale: restart/nginx): holdline ended before that`,
    ]);
  });

  test("that hangs is not remembered without end", async () => {
    const hanging = await startReceiver(() => undefined);
    const { notifier, logged } = notifierFor([{ url: hanging.origin }], { deliveryMs: 600_000, farewellMs: 0 });
    for (let count = 0; count < 102; count += 1) notifier.tell(FAILED);
    expect(logged).toHaveLength(2);
    expect(logged[0]).toContain("100 others wait for it already");
  });
});

describe.skipIf(PEM_PROBLEM !== null)("over TLS", () => {
  test("a certificate that nobody vouches for ends the delivery, and the secret is sent to nobody", async () => {
    const { cert, key } = makeCertificate(await freshDirectory(), "localhost");
    const paths: (string | undefined)[] = [];
    const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, ({ url }) => void paths.push(url)).listen(0);
    await once(server, "listening");
    onTestFinished(async () => {
      server.close();
      await once(server, "close");
    });
    const origin = `https://localhost:${(server.address() as AddressInfo).port}`;
    const { notifier, logged } = notifierFor([{ url: `${origin}/${SECRET}` }], NEVER);
    notifier.tell(FAILED);
    await notifier.close();
    expect(logged).toEqual([`${origin} was not told (failed: restart/nginx): self-signed certificate {"receiver":"${origin}"}`]);
    expect(paths).toEqual([]);
  });
});

describe("a command", () => {
  const sh = (text: string) => ({ argv: ["/bin/sh", "-c", text] });

  test("reads the event on its standard input", async () => {
    const file = join(await freshDirectory(), "told");
    const { notifier, logged } = notifierFor([sh(`cat > '${file}'`)], NEVER);
    notifier.tell({ event: "frozen", freeze: FREEZE, by: "ann@desk" });
    await notifier.close();
    const { at, ...told } = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    expect(at).toEqual(expect.any(String));
    expect(told).toEqual({
      event: "frozen",
      text: "FROZEN: deploy/*, restart/* in group web, by ann@desk, until it is thawed: the sale",
      ...{ lock: null, claim: null, action: null, node: null, group: null, principal: null, failure: null },
      ...{ by: "ann@desk", reason: "the sale", freeze: { ...FREEZE, since: "2026-11-27T00:00:00.000Z" } },
    });
    expect(logged).toEqual([]);
  });

  test.each([
    ["ends with another exit code", "exit 3", "exit code 3"],
    ["is killed", "kill -9 $$", "ended by SIGKILL"],
  ])("that %s has not been told", async (_, text, words) => {
    const { notifier, logged } = notifierFor([sh(`: ${SECRET}; ${text}`)], NEVER);
    notifier.tell(FAILED);
    await notifier.close();
    expect(logged).toEqual([`sh was not told (failed: restart/nginx): ${words} {"receiver":"sh"}`]);
  });

  test("that is not there is logged by its name alone", async () => {
    const { notifier, logged } = notifierFor([{ argv: ["/nowhere/tell-them", `--token=${SECRET}`] }], NEVER);
    notifier.tell(FAILED);
    await notifier.close();
    expect(logged.join()).toMatch(/^tell-them was not told \(failed: restart\/nginx\): it could not be started: .*ENOENT/);
    expect(logged.join()).not.toContain(SECRET);
  });

  test("need not read what it is told, however long that is", async () => {
    const { notifier, logged } = notifierFor([sh("exec true")], NEVER);
    const output = "x".repeat(1_000_000);
    notifier.tell({ ...FAILED, failure: { exitCode: 1, signal: null, message: "exit code 1", output } });
    await notifier.close();
    expect(logged).toEqual([]);
  });

  test("may print without end, and nobody sees it", async () => {
    const { notifier, logged } = notifierFor(
      [sh(`i=0; while [ $i -lt 3000 ]; do echo ${SECRET}${"x".repeat(99)}; echo e >&2; i=$((i+1)); done`)],
      NEVER,
    );
    notifier.tell(FAILED);
    await notifier.close();
    expect(logged).toEqual([]);
  });

  test("that hangs and ignores SIGTERM is killed, with all that it has started", async () => {
    const folder = await freshDirectory();
    const [pids, late] = [join(folder, "pids"), join(folder, "late")];
    const { notifier, logged } = notifierFor(
      [sh(`trap '' TERM; sleep 600 & echo $$ $! > '${pids}.new'; mv '${pids}.new' '${pids}'; wait; touch '${late}'`)],
      {
        deliveryMs: 600_000,
        farewellMs: 0,
      },
    );
    notifier.tell(FAILED);
    await until(() => existsSync(pids), "the command to run");
    await notifier.close();
    const started = readFileSync(pids, "utf8").trim().split(" ");
    expect(started).toHaveLength(2);
    await until(() => started.every((pid) => !isAlive(Number(pid))), "the processes to end");
    expect(existsSync(late)).toBe(false);
    expect(logged).toEqual([`sh was not told (failed: restart/nginx): holdline ended before that {"receiver":"sh"}`]);
  });

  test("that may not be killed, since it runs as another user, is given up", async () => {
    const file = join(await freshDirectory(), "pid");
    const { notifier, logged } = notifierFor([sh(`echo $$ > '${file}.new'; mv '${file}.new' '${file}'; exec sleep 600`)], {
      deliveryMs: 600_000,
      farewellMs: 0,
    });
    notifier.tell(FAILED);
    await until(() => existsSync(file), "the command to run");
    const refusing = vi.spyOn(process, "kill").mockImplementation(() => {
      throw Object.assign(new Error("kill EPERM"), { code: "EPERM" });
    });
    await notifier.close();
    refusing.mockRestore();
    process.kill(Number(readFileSync(file, "utf8")), "SIGKILL");
    expect(logged).toEqual([`sh was not told (failed: restart/nginx): holdline ended before that {"receiver":"sh"}`]);
  });

  test("whose offspring keeps its standard input open has been told", async () => {
    const folder = await freshDirectory();
    const file = join(folder, "pid");
    const { notifier, logged } = notifierFor([sh(`sleep 600 0<&0 & echo $! > '${file}'`)], NEVER);
    notifier.tell(FAILED);
    await notifier.close();
    process.kill(Number(readFileSync(file, "utf8")), "SIGKILL");
    expect(logged).toEqual([]);
  });
});

test("docs/rollouts.md shows an event as it is sent", async () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/rollouts.md"), "utf8");
  const shown = JSON.parse(/^```json\n(\{\n {2}"event"[\s\S]*?)^```$/m.exec(page)?.[1] ?? "null") as Record<string, unknown>;
  const { origin, asked } = await startReceiver();
  const { notifier } = notifierFor([{ url: origin }], NEVER);
  const { node, group, principal, action, at, text, freeze, ...event } = shown;
  notifier.tell({ ...event, owner: { node, group, principal, action } } as unknown as NotifiedEvent);
  await notifier.close();
  expect([at, text, freeze]).toEqual([expect.any(String), expect.any(String), null]);
  expect({ ...asked[0]?.body, at }).toEqual(shown);
});

describe("the text", () => {
  const freeze = { event: "frozen", freeze: FREEZE, by: "ann@desk" } as const;
  const cases: readonly (readonly [NotifiedEvent, string])[] = [
    [{ ...FAILED, event: "stale", failure: null }, "STALE: restart-nginx on web-07 (lock restart/nginx): its agent is gone"],
    [
      { ...FAILED, event: "recovered", failure: null, by: "root@web-07" },
      "recovered: restart-nginx on web-07 (lock restart/nginx)",
    ],
    [
      { ...FAILED, event: "cleared", by: "ann@desk", reason: "web-07 is being replaced" },
      "cleared: restart-nginx on web-07 (lock restart/nginx), by ann@desk: web-07 is being replaced",
    ],
    [
      { ...FAILED, event: "cleared", owner: { ...FAILED.owner, action: null }, by: "ann@desk", reason: "r" },
      "cleared: the claim of root@web-07 on web-07 (lock restart/nginx), by ann@desk: r",
    ],
    [
      { ...FAILED, event: "stale", owner: { ...FAILED.owner, action: "exec backup 0123456789ab" }, failure: null },
      "STALE: exec backup on web-07 (lock restart/nginx): its agent is gone",
    ],
    [
      { ...freeze, freeze: { ...FREEZE, group: null, node: "web-*", until: Date.UTC(2026, 10, 30) } },
      "FROZEN: deploy/*, restart/* on web-*, by ann@desk, until 2026-11-30T00:00:00.000Z: the sale",
    ],
    [
      { ...freeze, event: "thawed", by: "bob@desk" },
      "thawed: deploy/*, restart/* in group web, by bob@desk; it was frozen: the sale",
    ],
    [
      { ...freeze, event: "thawed", by: null },
      "thawed: deploy/*, restart/* in group web, the time of its freeze is over; it was frozen: the sale",
    ],
    // A chat must not call everybody because a command has printed that.
    [
      {
        ...FAILED,
        failure: { exitCode: 1, signal: null, message: "exit code 1", output: "<!channel> @here @channel-1 a@all.b\u202e\n" },
      },
      "FAILED: restart-nginx on web-07 (lock restart/nginx): exit code 1; last output: ‹!channel› @\u200bhere @\u200bchannel-1 a@\u200ball.b\\u202e",
    ],
  ];

  test.each(cases)("of %j", async (event, text) => {
    const { origin, asked } = await startReceiver();
    const { notifier } = notifierFor([{ url: origin }], NEVER);
    notifier.tell(event);
    await notifier.close();
    expect(asked[0]?.body["text"]).toBe(text);
  });
});

/** Whether a process has not ended; a zombie has. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
