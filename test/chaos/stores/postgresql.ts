// PostgreSQL under chaos: a primary and a synchronous standby, which is promoted when the primary dies. The one that has died comes back
// as the other's standby with data taken anew, as operators do it.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { openFramedProxy } from "../../support/framed-proxy.js";
import { POSTGRESQL } from "../../support/postgresql-framer.js";
import { type PostgresServer, startPostgres } from "../../support/servers/postgresql.js";
import { Casualties, type Hurt, type NemesisStore, pick, roadFaults, serverFaults } from "../faults.js";

// What is confirmed is on the standby as well; without one, nothing is confirmed.
const SETTINGS = ["synchronous_standby_names = '*'"];

/** Two servers, and which of them is the other's standby. A server reads its setup when it makes its data. */
class Pair {
  readonly #setups: { settings: readonly string[]; primary?: PostgresServer }[] = [{ settings: SETTINGS }, { settings: SETTINGS }];
  servers: readonly PostgresServer[] = [];
  #leads = 0;

  async start(): Promise<void> {
    const primary = await startPostgres(this.#setups[0]);
    Object.assign(this.#setups[1] as object, { primary });
    this.servers = [primary, await startPostgres(this.#setups[1])];
  }

  get primary(): PostgresServer {
    return this.servers[this.#leads] as PostgresServer;
  }

  /** The primary dies, and its standby takes its place. */
  readonly failOver: Hurt<unknown> = async () => {
    const [dead, index] = [this.primary, this.#leads];
    await dead.process.kill();
    this.#leads = 1 - index;
    delete this.#setups[this.#leads]?.primary;
    await this.primary.promote();
    return async () => {
      Object.assign(this.#setups[index] as object, { primary: this.primary });
      await rm(join(dead.directory, "data"), { recursive: true });
      await dead.process.restart();
    };
  };
}

export async function openNemesisStore(): Promise<NemesisStore> {
  const pair = new Pair();
  await pair.start();
  const { servers } = pair;
  const roads = [await openFramedProxy(POSTGRESQL, ...servers), await openFramedProxy(POSTGRESQL, ...servers)];
  const casualties = new Casualties(servers.map(({ process }) => process));
  const urlAt = (address: string): string => `postgresql://postgres@${address}/postgres?sslmode=disable`;
  return {
    urlOf: () => urlAt(pick(roads).address),
    url: urlAt(servers.map(({ host, port }) => `${host}:${port}`).join(",")),
    faults: [
      ...serverFaults(casualties),
      ["standby promoted", () => casualties.one(pair.failOver, async () => pair.primary.process)],
      ...roadFaults(roads, servers.length),
    ],
    logs: servers.map(({ directory }) => join(directory, "output.log")),
    async close() {
      for (const road of roads) await road.close();
      for (const server of servers.toReversed()) await server.close();
    },
  };
}
