// The nemesis of a chaos run: kills, freezes and restarts servers, cuts them off from each other, cuts and half-opens connections, expires sessions, kills
// and freezes agents, fills a disk, and vandalises znodes. Whatever it breaks it mends after a while, and all of it at the end.
import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { FaultProxy } from "../support/fault-proxy.js";
import { expireSession } from "../support/zookeeper-frames.js";
import type { LinkedEnsemble } from "../support/ensemble-links.js";
import type { ZooKeeperServer } from "../support/zookeeper-server.js";
import type { ChaosFleet, Phase } from "./fleet.js";
import { LOCKS } from "./fleet.js";
import { type Deed, deleteClock, deleteLiveness, deleteWaiting, overwriteWaiting, standsNotIn, vandalise } from "./vandal.js";

export interface Battlefield {
  readonly ensemble: LinkedEnsemble;
  readonly proxies: readonly FaultProxy[];
  readonly fleet: ChaosFleet;
  /** The root of the fleet's znodes. */
  readonly root: string;
  /** Where it writes down what it does. */
  readonly diary: string;
}

/** A fault: what it mends is awaited; without anything to do it to it has not been injected. */
type Fault = () => Promise<(() => Promise<unknown>) | null>;
type NamedFault = readonly [string, Fault];

// How long an agent that is doing a certain thing is looked for. A fleet without a quorum does nothing at all.
const LOOK_FOR_MS = 1_000;

const NOTHING_TO_MEND = async (): Promise<void> => undefined;

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
    const { ensemble } = this.#field;
    const lock = (): string => pick(LOCKS.filter(({ ephemeral }) => !ephemeral)).name;
    const faults: readonly NamedFault[] = [
      ["server killed", () => this.#hurtServer(async () => pick(ensemble.servers), killed)],
      ["server restarted", () => this.#hurtServer(async () => pick(ensemble.servers), restarted)],
      ["server frozen", () => this.#hurtServer(async () => pick(ensemble.servers), frozen)],
      ["leader killed", () => this.#hurtServer(() => ensemble.leader(), killed)],
      ["leader frozen", () => this.#hurtServer(() => ensemble.leader(), frozen)],
      ["follower cut off", () => this.#hurtServer(() => this.#follower(), this.#isolated)],
      ["follower cut off with clients", () => this.#isolateWithClients()],
      ["leader cut off", () => this.#hurtServer(() => ensemble.leader(), this.#isolated)],
      ["servers cut off from each other", () => this.#hurtServer(async () => pick(ensemble.servers), this.#cutFromOne)],
      ["server silent to another", () => this.#hurtServer(async () => pick(ensemble.servers), this.#silentToOne)],
      ["quorum lost", () => this.#loseQuorum()],
      ["connections cut", () => this.#cut()],
      ["connections half-open", () => this.#halfOpen()],
      ["connections refused", () => this.#refuse()],
      ["session expired", () => this.#expire()],
      ["agent killed waiting", () => this.#killAgent("waiting")],
      ["agent killed running", () => this.#killAgent("running")],
      ["agent killed running", () => this.#killAgent("running")],
      ["agent killed releasing", () => this.#killAgent("releasing")],
      ["agent frozen waiting", () => this.#freezeAgent("waiting")],
      ["agent frozen running", () => this.#freezeAgent("running")],
      ["agent frozen releasing", () => this.#freezeAgent("releasing")],
      ["disk filled", () => this.#fillDisk()],
      ["waiting claim deleted", () => this.#vandalise(deleteWaiting(lock()))],
      ["waiting claim overwritten", () => this.#vandalise(overwriteWaiting(lock()))],
      ["liveness deleted", () => this.#vandalise(deleteLiveness)],
      ["clock deleted", () => this.#vandalise(deleteClock)],
    ];
    // What cannot be mended ends the campaign: it says nothing about the fleet.
    const broken = new AbortController();
    const ended = AbortSignal.any([signal, broken.signal]);
    // Each comes once before any comes again, so that a short campaign has met most of them.
    let left = faults;
    while (!ended.aborted) {
      const [fault, mend] = await this.#injectOne(left, faults);
      if (mend === null) continue;
      left = left.filter((one) => one !== fault);
      if (left.length === 0) left = faults;
      const [name] = fault;
      this.#note(name);
      this.injected.set(name, (this.injected.get(name) ?? 0) + 1);
      const mended = mend().then(() => this.#note(`${name}: mended`));
      mended.catch(() => broken.abort());
      this.#mending.push(mended);
      await pause(200 + Math.random() * 1_200, undefined, { signal: ended }).catch(() => undefined);
    }
    await Promise.all(this.#mending);
    this.#note("over");
  }

  /** One of those that are left, or where that is not possible now, any. */
  async #injectOne(left: readonly NamedFault[], all: readonly NamedFault[]): Promise<[NamedFault, Awaited<ReturnType<Fault>>]> {
    const wanted = pick(left);
    const mend = await wanted[1]();
    if (mend !== null) return [wanted, mend];
    const other = pick(all);
    return [other, await other[1]()];
  }

  #note(what: string): void {
    appendFileSync(this.#field.diary, `${new Date().toISOString()} ${what}\n`);
  }

  async #hurtServer(choose: () => Promise<ZooKeeperServer>, hurt: Hurt): ReturnType<Fault> {
    if (this.#hurt.size > 0) return yieldTurn();
    return this.#hurtOne(await choose(), hurt);
  }

  async #hurtOne(server: ZooKeeperServer, hurt: Hurt): Promise<() => Promise<void>> {
    this.#hurt.add(server);
    const mend = await hurt(server);
    return async () => {
      await pause(500 + Math.random() * 5_000);
      await mend();
      this.#hurt.delete(server);
    };
  }

  async #follower(): Promise<ZooKeeperServer> {
    const { ensemble } = this.#field;
    const leader = await ensemble.leader();
    return pick(ensemble.servers.filter((server) => server !== leader));
  }

  /** The other servers do not reach it, nor it them; clients reach all. For a while it goes on to answer its own. */
  readonly #isolated: Hurt = async (server) => {
    const { ensemble } = this.#field;
    ensemble.isolate(ensemble.servers.indexOf(server));
    return this.#longEnough(async () => ensemble.mend());
  };

  readonly #cutFromOne: Hurt = async (server) => {
    const { ensemble } = this.#field;
    ensemble.cut(ensemble.servers.indexOf(server), this.#anotherThan(server));
    return this.#longEnough(async () => ensemble.mend());
  };

  readonly #silentToOne: Hurt = async (server) => {
    const { ensemble } = this.#field;
    ensemble.silence(ensemble.servers.indexOf(server), this.#anotherThan(server));
    return this.#longEnough(async () => ensemble.mend());
  };

  /** A room of the data centre: a follower and some of the clients reach each other, and nobody else. */
  async #isolateWithClients(): ReturnType<Fault> {
    const { ensemble, proxies } = this.#field;
    const proxy = pick(proxies);
    const others = (server: ZooKeeperServer): number[] => [0, 1, 2].filter((gate) => gate !== ensemble.servers.indexOf(server));
    return this.#hurtServer(
      () => this.#follower(),
      async (server) => {
        for (const gate of others(server)) {
          await proxy.welcome("refuse", gate);
          await proxy.cut(gate);
        }
        const mend = await this.#isolated(server);
        return async () => {
          await mend();
          for (const gate of others(server)) await proxy.welcome("serve", gate);
        };
      },
    );
  }

  #anotherThan(server: ZooKeeperServer): number {
    const { servers } = this.#field.ensemble;
    return servers.indexOf(pick(servers.filter((one) => one !== server)));
  }

  /** Beside what every fault lasts: until sessions that the leader does not hear of have ended. */
  #longEnough(mend: () => Promise<void>): () => Promise<void> {
    return async () => {
      await pause(Math.random() * 10_000);
      await mend();
    };
  }

  async #loseQuorum(): ReturnType<Fault> {
    if (this.#hurt.size > 0) return yieldTurn();
    const [first, second] = this.#field.ensemble.servers.toSorted(() => Math.random() - 0.5) as [ZooKeeperServer, ZooKeeperServer];
    const mends = await Promise.all([this.#hurtOne(first, killed), this.#hurtOne(second, pick([killed, frozen]))]);
    return () => Promise.all(mends.map((mend) => mend()));
  }

  async #cut(): ReturnType<Fault> {
    const proxy = pick(this.#field.proxies);
    if (proxy.connections === 0) return yieldTurn();
    await proxy.cut();
    return NOTHING_TO_MEND;
  }

  async #halfOpen(): ReturnType<Fault> {
    const proxy = pick(this.#field.proxies);
    const gate = Math.floor(Math.random() * 3);
    proxy.freeze(gate);
    return async () => {
      await pause(1_000 + Math.random() * 7_000);
      proxy.thaw(gate);
    };
  }

  async #refuse(): ReturnType<Fault> {
    const proxy = pick(this.#field.proxies);
    const gate = Math.floor(Math.random() * 3);
    await proxy.welcome("refuse", gate);
    await proxy.cut(gate);
    return async () => {
      await pause(500 + Math.random() * 3_000);
      await proxy.welcome("serve", gate);
    };
  }

  async #expire(): ReturnType<Fault> {
    // The newest belong to agents that are likely to live; where one has ended, the server does not know it any more.
    const session = pick(pick(this.#field.proxies).sessions.slice(-4));
    const server = this.#field.ensemble.servers.find((one) => !this.#hurt.has(one));
    if (session === undefined || server === undefined) return yieldTurn();
    // No server ends a session before its time, in which an agent ends what runs under an ephemeral claim: only others are ended.
    for (const { name, ephemeral } of LOCKS)
      if (ephemeral && !(await vandalise(server, this.#field.root, standsNotIn(name, session.id)))) return yieldTurn();
    const isExpired = await expireSession(server, session).then(
      () => true,
      () => false,
    );
    return isExpired ? NOTHING_TO_MEND : null;
  }

  async #killAgent(phase: Phase): ReturnType<Fault> {
    const agent = await this.#field.fleet.find(phase, AbortSignal.timeout(LOOK_FOR_MS));
    return agent?.kill("SIGKILL") === true ? NOTHING_TO_MEND : null;
  }

  async #freezeAgent(phase: Phase): ReturnType<Fault> {
    const agent = await this.#field.fleet.find(phase, AbortSignal.timeout(LOOK_FOR_MS));
    if (agent?.kill("SIGSTOP") !== true) return null;
    return async () => {
      await pause(500 + Math.random() * 9_000);
      agent.kill("SIGCONT");
    };
  }

  async #fillDisk(): ReturnType<Fault> {
    const { fleet } = this.#field;
    if (!fleet.fillDisk()) return yieldTurn();
    return async () => {
      await pause(1_000 + Math.random() * 4_000);
      fleet.emptyDisk();
    };
  }

  async #vandalise(deed: Deed): ReturnType<Fault> {
    const server = this.#field.ensemble.servers.find((one) => !this.#hurt.has(one));
    return server !== undefined && (await vandalise(server, this.#field.root, deed)) ? NOTHING_TO_MEND : yieldTurn();
  }
}

/** Hurts a server, and gives what mends it. */
type Hurt = (server: ZooKeeperServer) => Promise<() => Promise<void>>;

async function killed(server: ZooKeeperServer): ReturnType<Hurt> {
  await server.kill();
  return () => startAgain(server);
}

async function restarted(server: ZooKeeperServer): ReturnType<Hurt> {
  await server.stop();
  return () => startAgain(server);
}

async function frozen(server: ZooKeeperServer): ReturnType<Hurt> {
  await server.freeze();
  return async () => server.thaw();
}

// A server serves once it has found a quorum, and finds none while the others are away.
const TRIES_TO_START = 3;

async function startAgain(server: ZooKeeperServer): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await server.restart();
    } catch (error) {
      if (tries === TRIES_TO_START) throw error;
    }
  }
}

/** There was nothing to do it to; others have a moment to change that. */
async function yieldTurn(): Promise<null> {
  await pause(20);
  return null;
}

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T;
}
