// A server that a whole run shares: started before the first test of those who need it, ended after the last. A server that cannot be
// had here is no failure: its tests are skipped, by its name.
import type { ProvidedContext } from "vitest";
import type { TestProject } from "vitest/node";

/** A server that tests can use, as `inject` gives it; `missing` says why there is none. */
export type RunServer<Details> = (Details & { readonly missing: null }) | { readonly missing: string };

/** @param start starts it, and gives what tests have to know; or says, as a text, why it cannot be had here */
export function setupOf<Name extends keyof ProvidedContext, Details extends object>(
  name: Name,
  start: () => Promise<{ readonly details: Details; close(): Promise<unknown> } | string>,
): (project: TestProject) => Promise<() => Promise<void>> {
  return async (project) => {
    const started = await start();
    const given: RunServer<Details> = typeof started === "string" ? { missing: started } : { ...started.details, missing: null };
    console.log(typeof started === "string" ? `no ${name} here: ${started}` : `tests run against a ${name} of their own`);
    // Which details a server has is declared beside its setup.
    project.provide(name, given as never);
    return async () => {
      if (typeof started !== "string") await started.close();
    };
  };
}
