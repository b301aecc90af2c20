// An ensemble of three under chaos: servers are killed, frozen and cut off from each other, sessions expire, znodes are vandalised.
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type LinkedEnsemble, startLinkedEnsemble } from "../../support/ensemble-links.js";
import { type FaultProxy, openFaultProxy } from "../../support/fault-proxy.js";
import { expireSession } from "../../support/zookeeper-frames.js";
import type { ZooKeeperServer } from "../../support/zookeeper-server.js";
import {
  Casualties,
  type Fault,
  frozen,
  type Hurt,
  killed,
  type NamedFault,
  type NemesisStore,
  NOTHING_TO_MEND,
  pick,
  roadFaults,
  serverFaults,
  yieldTurn,
} from "../faults.js";
import { LOCKS } from "../fleet.js";
import {
  type Deed,
  deleteClock,
  deleteLiveness,
  deleteWaiting,
  overwriteWaiting,
  standsNotIn,
  vandalise,
} from "./zookeeper-vandal.js";

const ROOT = "/chaos";

// Servers that look for a leader ask each other ever more rarely, by default once a minute at last, and wait 5 s for one
// that is frozen: the fleet would be idle for most of the time.
const QUICK_ELECTIONS = { "zookeeper.fastleader.maxNotificationInterval": "1000", "zookeeper.cnxTimeout": "1000" };

const SERVERS = [0, 1, 2];

export async function openNemesisStore(): Promise<NemesisStore> {
  const ensemble = await startLinkedEnsemble({ properties: QUICK_ELECTIONS });
  const proxies = [await openFaultProxy(...ensemble.servers), await openFaultProxy(...ensemble.servers)];
  const urlAt = (address: string): string => `zookeeper://${address}${ROOT}`;
  return {
    urlOf: (index) => urlAt((proxies[index % proxies.length] as FaultProxy).address),
    url: urlAt(ensemble.address),
    faults: new EnsembleFaults(ensemble, proxies).all(),
    logs: ensemble.servers.map(({ directory }) => join(directory, "zookeeper.log")),
    async close() {
      for (const proxy of proxies) await proxy.close();
      await ensemble.close();
    },
  };
}

class EnsembleFaults {
  readonly #ensemble: LinkedEnsemble;
  readonly #proxies: readonly FaultProxy[];
  readonly #casualties: Casualties<ZooKeeperServer>;

  constructor(ensemble: LinkedEnsemble, proxies: readonly FaultProxy[]) {
    this.#ensemble = ensemble;
    this.#proxies = proxies;
    this.#casualties = new Casualties(ensemble.servers);
  }

  all(): readonly NamedFault[] {
    const hurt = this.#casualties;
    const leader = () => this.#ensemble.leader();
    const lock = (): string => pick(LOCKS.filter(({ ephemeral }) => !ephemeral)).name;
    return [
      ...serverFaults(hurt),
      ["leader killed", () => hurt.one(killed, leader)],
      ["leader frozen", () => hurt.one(frozen, leader)],
      ["follower cut off", () => hurt.one(this.#isolated, () => this.#follower())],
      ["follower cut off with clients", () => hurt.one(this.#isolatedWithClients, () => this.#follower())],
      ["leader cut off", () => hurt.one(this.#isolated, leader)],
      ["servers cut off from each other", () => hurt.one(this.#cutFromOne)],
      ["server silent to another", () => hurt.one(this.#silentToOne)],
      ["quorum lost", () => hurt.two(killed, pick([killed, frozen]))],
      ...roadFaults(this.#proxies, SERVERS.length),
      ["session expired", () => this.#expire()],
      ["waiting claim deleted", () => this.#vandalise(deleteWaiting(lock()))],
      ["waiting claim overwritten", () => this.#vandalise(overwriteWaiting(lock()))],
      ["liveness deleted", () => this.#vandalise(deleteLiveness)],
      ["clock deleted", () => this.#vandalise(deleteClock)],
    ];
  }

  async #follower(): Promise<ZooKeeperServer> {
    const leader = await this.#ensemble.leader();
    return pick(this.#ensemble.servers.filter((server) => server !== leader));
  }

  /** The other servers do not reach it, nor it them; clients reach all. For a while it goes on to answer its own. */
  readonly #isolated: Hurt<ZooKeeperServer> = async (server) => {
    this.#ensemble.isolate(this.#indexOf(server));
    return this.#longEnough();
  };

  readonly #cutFromOne: Hurt<ZooKeeperServer> = async (server) => {
    this.#ensemble.cut(this.#indexOf(server), this.#anotherThan(server));
    return this.#longEnough();
  };

  readonly #silentToOne: Hurt<ZooKeeperServer> = async (server) => {
    this.#ensemble.silence(this.#indexOf(server), this.#anotherThan(server));
    return this.#longEnough();
  };

  /** A room of the data centre: a follower and some of the clients reach each other, and nobody else. */
  readonly #isolatedWithClients: Hurt<ZooKeeperServer> = async (server) => {
    const proxy = pick(this.#proxies);
    const others = SERVERS.filter((gate) => gate !== this.#indexOf(server));
    for (const gate of others) {
      await proxy.welcome("refuse", gate);
      await proxy.cut(gate);
    }
    const mend = await this.#isolated(server);
    return async () => {
      await mend();
      for (const gate of others) await proxy.welcome("serve", gate);
    };
  };

  #indexOf(server: ZooKeeperServer): number {
    return this.#ensemble.servers.indexOf(server);
  }

  #anotherThan(server: ZooKeeperServer): number {
    return this.#indexOf(pick(this.#ensemble.servers.filter((one) => one !== server)));
  }

  /** Mends the links. Beside what every fault lasts: until sessions that the leader does not hear of have ended. */
  #longEnough(): () => Promise<void> {
    return async () => {
      await pause(Math.random() * 10_000);
      this.#ensemble.mend();
    };
  }

  async #expire(): ReturnType<Fault> {
    // The newest belong to agents that are likely to live; where one has ended, the server does not know it any more.
    const session = pick(pick(this.#proxies).sessions.slice(-4));
    const server = this.#casualties.healthy;
    if (session === undefined || server === undefined) return yieldTurn();
    // No server ends a session before its time, in which an agent ends what runs under an ephemeral claim: only others are ended.
    for (const { name, ephemeral } of LOCKS)
      if (ephemeral && !(await vandalise(server, ROOT, standsNotIn(name, session.id)))) return yieldTurn();
    const isExpired = await expireSession(server, session).then(
      () => true,
      () => false,
    );
    return isExpired ? NOTHING_TO_MEND : null;
  }

  async #vandalise(deed: Deed): ReturnType<Fault> {
    const server = this.#casualties.healthy;
    return server !== undefined && (await vandalise(server, ROOT, deed)) ? NOTHING_TO_MEND : yieldTurn();
  }
}
