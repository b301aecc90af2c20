// The nemesis of a chaos run: kills, freezes and restarts servers, cuts and half-opens connections, expires sessions, and
// kills and freezes agents. Whatever it breaks it mends after a while, and all of it at the end.
import { setTimeout as pause } from "node:timers/promises";
import type { FaultProxy } from "../support/fault-proxy.js";
import { expireSession } from "../support/zookeeper-frames.js";
import type { Ensemble, ZooKeeperServer } from "../support/zookeeper-server.js";
import type { ChaosFleet } from "./fleet.js";

export interface Battlefield {
  readonly ensemble: Ensemble;
  readonly proxies: readonly FaultProxy[];
  readonly fleet: ChaosFleet;
}

export class Nemesis {
  readonly #field: Battlefield;
  /** How many faults of which kind. */
  readonly injected = new Map<string, number>();
  /** Servers that are down or frozen: never so many that no quorum could be, but for a moment. */
  readonly #hurt = new Set<ZooKeeperServer>();
  readonly #mending: Promise<unknown>[] = [];

  constructor(field: Battlefield) {
    this.#field = field;
  }

  /** Attacks until `signal`, and resolves when everything is mended. */
  async rage(signal: AbortSignal): Promise<void> {
    const faults: readonly (readonly [string, () => Promise<void>])[] = [
      ["server killed", () => this.#hurtServer(() => this.#someServer(), killed)],
      ["leader killed", () => this.#hurtServer(() => this.#field.ensemble.leader(), killed)],
      ["server frozen", () => this.#hurtServer(() => this.#someServer(), frozen)],
      ["connections cut", () => this.#someProxy().cut()],
      ["connections half-open", () => this.#halfOpen()],
      ["connections refused", () => this.#refuse()],
      ["session expired", () => this.#expire()],
      ["agent killed", () => this.#killAgent()],
      ["agent killed", () => this.#killAgent()],
      ["agent frozen", () => this.#freezeAgent()],
    ];
    while (!signal.aborted) {
      const [name, inject] = pick(faults);
      this.injected.set(name, (this.injected.get(name) ?? 0) + 1);
      this.#mending.push(inject());
      await pause(300 + Math.random() * 1_500, undefined, { signal }).catch(() => undefined);
    }
    await Promise.all(this.#mending);
  }

  async #hurtServer(choose: () => Promise<ZooKeeperServer>, hurt: (server: ZooKeeperServer) => Promise<void>): Promise<void> {
    // Mostly one at a time; now and then two, and then there is no quorum for a while.
    if (this.#hurt.size >= (Math.random() < 0.2 ? 2 : 1)) return;
    const server = await choose();
    if (this.#hurt.has(server)) return;
    this.#hurt.add(server);
    await hurt(server);
    this.#hurt.delete(server);
  }

  async #someServer(): Promise<ZooKeeperServer> {
    return pick(this.#field.ensemble.servers);
  }

  #someProxy(): FaultProxy {
    return pick(this.#field.proxies);
  }

  async #halfOpen(): Promise<void> {
    const proxy = this.#someProxy();
    const gate = Math.floor(Math.random() * 3);
    proxy.freeze(gate);
    await pause(1_000 + Math.random() * 7_000);
    proxy.thaw(gate);
  }

  async #refuse(): Promise<void> {
    const proxy = this.#someProxy();
    const gate = Math.floor(Math.random() * 3);
    await proxy.welcome("refuse", gate);
    await proxy.cut(gate);
    await pause(500 + Math.random() * 3_000);
    await proxy.welcome("serve", gate);
  }

  async #expire(): Promise<void> {
    const session = this.#someProxy().sessions.at(-1);
    const server = this.#field.ensemble.servers.find((one) => !this.#hurt.has(one));
    // It may have ended by itself since.
    if (session !== undefined && server !== undefined) await expireSession(server, session).catch(() => undefined);
  }

  async #killAgent(): Promise<void> {
    pick(this.#field.fleet.targets)?.kill("SIGKILL");
  }

  async #freezeAgent(): Promise<void> {
    const agent = pick(this.#field.fleet.targets);
    agent?.kill("SIGSTOP");
    await pause(500 + Math.random() * 9_000);
    agent?.kill("SIGCONT");
  }
}

async function killed(server: ZooKeeperServer): Promise<void> {
  await server.kill();
  await pause(500 + Math.random() * 4_000);
  await server.restart();
}

async function frozen(server: ZooKeeperServer): Promise<void> {
  await server.freeze();
  await pause(500 + Math.random() * 7_000);
  server.thaw();
}

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T;
}
