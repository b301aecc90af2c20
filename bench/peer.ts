// What a workload asks of a lock library. Each library that is measured is one of these, so that all do the same work.

export interface Peer {
  readonly name: string;
  /** Opens a session of its own with the ZooKeeper at `address` (host:port); resolves when it is connected. */
  open(address: string): Promise<Member>;
}

/** One session. */
export interface Member {
  /**
   * Waits for `lock` and takes it; gives what releases it.
   * @param onWaiting called when the claim stands in line and has to wait
   */
  acquire(lock: string, onWaiting?: () => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}
