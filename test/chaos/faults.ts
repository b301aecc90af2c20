// Faults as a nemesis inflicts them, and those that servers and connections of any store can suffer. Which store suffers which is said in
// stores/; when, and how often, is nemesis.ts's.
import { setTimeout as pause } from "node:timers/promises";

/** Inflicts it, and gives what mends it after a while; `null` where there was nothing to do it to. */
export type Fault = () => Promise<(() => Promise<unknown>) | null>;

/** Its name, as the report counts it. */
export type NamedFault = readonly [string, Fault];

/** What a chaos run stands on: a store with servers of its own, and what can be done to it. */
export interface NemesisStore {
  /** The store's URL for the node with this index. */
  urlOf(index: number): string;
  /** Its URL without anything in between, for the verdict at the end. */
  readonly url: string;
  readonly faults: readonly NamedFault[];
  /** The servers' logs, which are kept where something was wrong. */
  readonly logs: readonly string[];
  close(): Promise<unknown>;
}

/** A server that a nemesis may hurt. */
export interface Victim {
  kill(): Promise<void>;
  stop(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): void;
  restart(): Promise<void>;
}

/** Hurts a server, and gives what mends it. */
export type Hurt<Server> = (server: Server) => Promise<() => Promise<void>>;

export const NOTHING_TO_MEND = async (): Promise<void> => undefined;

/** There was nothing to do it to; others have a moment to change that. */
export async function yieldTurn(): Promise<null> {
  await pause(20);
  return null;
}

export function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T;
}

export async function killed(server: Victim): Promise<() => Promise<void>> {
  await server.kill();
  return () => startAgain(server);
}

export async function restarted(server: Victim): Promise<() => Promise<void>> {
  await server.stop();
  return () => startAgain(server);
}

export async function frozen(server: Victim): Promise<() => Promise<void>> {
  await server.freeze();
  return async () => server.thaw();
}

// A server may serve only once it has found the others, and does not find them while they are away.
const TRIES_TO_START = 3;

async function startAgain(server: Victim): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await server.restart();
    } catch (error) {
      if (tries === TRIES_TO_START) throw error;
    }
  }
}

/** Servers of which one at a time is hurt: never so many that none could serve, but for a moment. */
export class Casualties<Server> {
  readonly #servers: readonly Server[];
  readonly #hurt = new Set<Server>();

  constructor(servers: readonly Server[]) {
    this.#servers = servers;
  }

  /** One that is not hurt. */
  get healthy(): Server | undefined {
    return this.#servers.find((server) => !this.#hurt.has(server));
  }

  /** Hurts one, unless one is hurt already. */
  async one(hurt: Hurt<Server>, choose: () => Promise<Server> = async () => pick(this.#servers)): ReturnType<Fault> {
    if (this.#hurt.size > 0) return yieldTurn();
    return this.#hurtOne(await choose(), hurt);
  }

  /** Hurts two at once, unless one is hurt already. */
  async two(first: Hurt<Server>, second: Hurt<Server>): ReturnType<Fault> {
    if (this.#hurt.size > 0) return yieldTurn();
    const [one, other] = this.#servers.toSorted(() => Math.random() - 0.5) as [Server, Server];
    const mends = await Promise.all([this.#hurtOne(one, first), this.#hurtOne(other, second)]);
    return () => Promise.all(mends.map((mend) => mend()));
  }

  async #hurtOne(server: Server, hurt: Hurt<Server>): Promise<() => Promise<void>> {
    this.#hurt.add(server);
    const mend = await hurt(server);
    return async () => {
      await pause(500 + Math.random() * 5_000);
      await mend();
      this.#hurt.delete(server);
    };
  }
}

/** What any server can suffer. */
export function serverFaults(servers: Casualties<Victim>): readonly NamedFault[] {
  return [
    ["server killed", () => servers.one(killed)],
    ["server restarted", () => servers.one(restarted)],
    ["server frozen", () => servers.one(frozen)],
  ];
}

/** A fault proxy in front of the servers, whatever they speak. */
export interface Road {
  readonly connections: number;
  cut(gate?: number): Promise<void>;
  freeze(gate: number): void;
  thaw(gate: number): void;
  welcome(welcome: "serve" | "refuse", gate: number): Promise<void>;
}

/** @param gates how many servers each of them leads to */
export function roadFaults(roads: readonly Road[], gates: number): readonly NamedFault[] {
  const anyGate = (): number => Math.floor(Math.random() * gates);
  const cut: Fault = async () => {
    const road = pick(roads);
    if (road.connections === 0) return yieldTurn();
    await road.cut();
    return NOTHING_TO_MEND;
  };
  const halfOpen: Fault = async () => {
    const road = pick(roads);
    const gate = anyGate();
    road.freeze(gate);
    return async () => {
      await pause(1_000 + Math.random() * 7_000);
      road.thaw(gate);
    };
  };
  const refuse: Fault = async () => {
    const road = pick(roads);
    const gate = anyGate();
    await road.welcome("refuse", gate);
    await road.cut(gate);
    return async () => {
      await pause(500 + Math.random() * 3_000);
      await road.welcome("serve", gate);
    };
  };
  return [
    ["connections cut", cut],
    ["connections half-open", halfOpen],
    ["connections refused", refuse],
  ];
}
