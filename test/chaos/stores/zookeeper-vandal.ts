// Somebody with a ZooKeeper client at hand, who deletes and overwrites what is Holdline's: the claims of those who wait,
// liveness entries, the clock. Never what is held, since that would let two act at once by itself.
import { ZkSession } from "../../../src/coordinators/zookeeper/session.js";
import { uptimeMs } from "../../../src/uptime.js";
import type { Wire } from "../../../src/coordinators/zookeeper/wire/wire.js";
import type { ServerAddress } from "../../support/zookeeper-server.js";

/** What a vandal does: it says whether there was anything to do it to. */
export type Deed = (wire: Wire, root: string) => Promise<boolean>;

// The version that a claim has until it is settled: what has been settled since it was looked at stays as it is.
const UNSETTLED = 0;

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
// A vandal who cannot get through gives up: it is the fleet that has to be patient.
const IMPATIENT = { connectTimeoutMs: 2_000, clock: uptimeMs, sessionTimeoutMs: 3_000, log: SILENT };

/** Connects, does a deed, and is gone. False when the server did not answer, or what was meant had changed meanwhile. */
export async function vandalise({ host, port }: ServerAddress, root: string, deed: Deed): Promise<boolean> {
  const session = new ZkSession({ servers: [{ host, port }], root, tls: null, login: null }, IMPATIENT, () => undefined);
  try {
    await session.connected();
    return await deed(session.wire, root);
  } catch {
    return false;
  } finally {
    await session.close();
  }
}

/** Deletes the claim of one who waits for the lock. */
export function deleteWaiting(lock: string): Deed {
  return (wire, root) => onWaiting(wire, `${root}/locks/${lock}`, (path) => wire.remove(path, UNSETTLED));
}

/** Writes something else into the claim of one who waits for the lock. */
export function overwriteWaiting(lock: string): Deed {
  const garbage = Buffer.from('{"v":1,');
  return (wire, root) => onWaiting(wire, `${root}/locks/${lock}`, (path) => wire.setData(path, garbage, UNSETTLED));
}

/** Deletes an entry that says that a claim's agent runs. */
export const deleteLiveness: Deed = async (wire, root) => {
  const [name] = (await wire.getChildren(`${root}/alive`)) ?? [];
  if (name === undefined) return false;
  await wire.remove(`${root}/alive/${name}`);
  return true;
};

/** Deletes the znode that tells the server's time. */
export const deleteClock: Deed = async (wire, root) => {
  await wire.remove(`${root}/clock`);
  return true;
};

/** Changes nothing: does the session with this id stand nowhere in the line of the lock? */
export function standsNotIn(lock: string, session: bigint): Deed {
  const owner = BigInt.asUintN(64, session).toString(16).padStart(16, "0");
  return async (wire, root) => {
    const folder = `${root}/locks/${lock}`;
    const names = (await wire.getChildren(folder)) ?? [];
    const stats = await Promise.all(names.map((name) => wire.exists(`${folder}/${name}`)));
    return stats.every((stat) => stat?.ephemeralOwner !== owner);
  };
}

async function onWaiting(wire: Wire, folder: string, act: (path: string) => Promise<unknown>): Promise<boolean> {
  const names = (await wire.getChildren(folder)) ?? [];
  // The last in line is likely to wait; the version says so for sure.
  const last = names.toSorted((one, other) => Number(one.slice(-10)) - Number(other.slice(-10))).at(-1);
  if (last === undefined) return false;
  await act(`${folder}/${last}`);
  return true;
}
