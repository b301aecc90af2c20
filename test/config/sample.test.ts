import { expect, test } from "vitest";
import { load } from "./loading.js";

// What callers are told that a configuration can say, line by line.
const SAMPLE = `
node: web-07.example.com
group: web
principal: deploy@example.com
coordinator: zookeeper://zk1:2181,zk2:2181,zk3:2181/holdline
state_dir: /var/lib/holdline
acquire:
  sleep_time: 0.25 s
  timeout: 30 s
  behind_failed: wait
connect_timeout: 10 s
session_timeout: 15 s
release_timeout: 60 s
skip_coordination: false
log: { level: info, format: auto }
history: { keep: 100, for: none }
windows: []
notify: []
actions:
  restart-nginx:
    mode: serialize_process
    lock: restart/nginx
    command: [systemctl, restart, nginx.service]
    timeout: 90 s
    kill_after: 10 s
    acquire: { timeout: 10 min }
    slots: 1
    key: rack-12
    process: { command_string: "nginx: master", full_cmd: true, user: root, must_restart: true }
    already_restarted: run
    needed:
      file: /run/reboot-required
      changed: ["/etc/nginx/**", /usr/sbin/nginx]
      outdated: true
      command: [check-it]
    windows:
      - { days: [sat, sun], start: "02:00", for: 4 h, zone: Europe/Berlin }
    blockers:
      - { name: cluster is green, command: [es-green] }
      - { name: no alert, prometheus: "http://prom:9090", alerts: "^Node", ignore: "^Watchdog$" }
    before: { command: [drain], timeout: 10 min }
    after: { command: [undrain], timeout: 5 min }
    verify: { command: [curl, -fsS, "http://127.0.0.1/healthz"], interval: 1 s, timeout: 30 s, passes: 1 }
    soak: 5 min
    not_now: [75]
    on_failure: hold
    env: { KEY: value }
    cwd: /srv
    data: { ticket: OPS-123 }
locks:
  db-migrate: { ttl: 1 day, principal: dba@example.com }
`;

test("the whole sample means what it says", async () => {
  const { file, origins, ...settings } = await load(SAMPLE);
  expect(file).not.toBeNull();
  expect(origins?.get("group")).toBe("file");
  expect(settings).toMatchObject({
    node: "web-07.example.com",
    group: "web",
    membershipMs: 7 * 86_400_000,
    principal: "deploy@example.com",
    coordinator: "zookeeper://zk1:2181,zk2:2181,zk3:2181/holdline",
    stateDir: "/var/lib/holdline",
    acquire: { sleepTimeMs: 250, timeoutMs: 30_000, behindFailed: "wait" },
    connectTimeoutMs: 10_000,
    sessionTimeoutMs: 15_000,
    releaseTimeoutMs: 60_000,
    skipCoordination: false,
    log: { level: "info", format: "auto" },
    history: { keep: 100, forMs: null },
    windows: [],
    notify: [],
    locks: new Map([["db-migrate", { ttlMs: 86_400_000, principal: "dba@example.com", coordinator: null }]]),
  });
  expect(settings.actions).toEqual([
    {
      name: "restart-nginx",
      mode: "serialize_process",
      lock: "restart/nginx",
      argv: ["systemctl", "restart", "nginx.service"],
      timeoutMs: 90_000,
      killAfterMs: 10_000,
      acquire: { sleepTimeMs: 250, timeoutMs: 600_000, behindFailed: "wait" },
      slots: 1,
      percent: null,
      key: "rack-12",
      process: { commandString: "nginx: master", fullCmd: true, user: "root" },
      mustRestart: true,
      alreadyRestarted: "run",
      needed: { file: "/run/reboot-required", changed: ["/etc/nginx/**", "/usr/sbin/nginx"], outdated: true, argv: ["check-it"] },
      windows: [{ days: ["sat", "sun"], startMinute: 120, forMs: 14_400_000, zone: "Europe/Berlin" }],
      blockers: [
        { type: "command", name: "cluster is green", argv: ["es-green"], timeoutMs: 30_000 },
        {
          ...{ type: "prometheus", name: "no alert", url: "http://prom:9090", timeoutMs: 30_000 },
          ...{ alerts: "^Node", ignore: "^Watchdog$" },
        },
      ],
      before: { argv: ["drain"], timeoutMs: 600_000 },
      after: { argv: ["undrain"], timeoutMs: 300_000, when: "success" },
      verify: { argv: ["curl", "-fsS", "http://127.0.0.1/healthz"], intervalMs: 1_000, timeoutMs: 30_000, passes: 1 },
      soakMs: 300_000,
      notNow: [75],
      onFailure: "hold",
      env: { KEY: "value" },
      cwd: "/srv",
      data: { ticket: "OPS-123" },
    },
  ]);
});
