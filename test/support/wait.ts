// Waiting in tests: for a condition, which the conformance suite does as well, and for nothing to happen.
export { until, within } from "../../src/conformance/until.js";

/** Whether `promise` has neither resolved nor rejected by the time that all pending work of this turn of the event loop is done. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const mark = () => {
    settled = true;
  };
  promise.then(mark, mark);
  await new Promise((resolve) => setImmediate(resolve));
  return !settled;
}
