// Many cases, a few at a time.

// The test's cores are few: more at a time wait for each other, fewer for sessions that have to expire.
const CASES_AT_A_TIME = 5;

/** The first that fails is the failure, after those under way have ended. */
export async function inTurn<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  const waiting = [...items.entries()];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await work(next[1], next[0]);
  };
  const ends = await Promise.allSettled(Array.from({ length: CASES_AT_A_TIME }, worker));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
