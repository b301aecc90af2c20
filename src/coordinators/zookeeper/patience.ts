// How long those wait for a server who only want to go.

// A caller that leaves a line, or closes, does not wait longer for a silent server: the removal goes on without the caller, and
// where the process ends before it is done, the entry ends with the session.
const PATIENCE_MS = 1_000;

/** Waits until it is done, or for as long as one is patient who wants to go. */
export async function patiently(work: Promise<unknown>): Promise<void> {
  let patience: NodeJS.Timeout | undefined;
  const silence = new Promise<void>((resolve) => (patience = setTimeout(resolve, PATIENCE_MS)));
  try {
    await Promise.race([work, silence]);
  } finally {
    clearTimeout(patience);
  }
}
