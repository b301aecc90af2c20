// A peer: what a workload asks of a lock library. Every library that is measured implements it, so that all do the same work.

export interface Peer {
  readonly name: string;
  readonly store: "zookeeper" | "sqlite";
  /** Opens a session of its own with the ZooKeeper at `place` (host:port), or with the database of that path. */
  readonly open: (place: string) => Promise<Member>;
}

/** One session. */
export interface Member {
  /**
   * Waits for `lock` and takes it; gives the function that releases it.
   * @param onWaiting called when the claim stands in line and has to wait
   */
  acquire(lock: string, onWaiting?: () => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}
