// The hosts that a host depends on, directly or through others, by the declared map: they are locked along with it. Pure.

/** By host, the hosts that depend on it. */
export type DependencyMap = ReadonlyMap<string, readonly string[]>;

/**
 * The hosts that `host` depends on: first those that it depends on itself, then those that these depend on, and so on, by
 * name within each pass. Cycles are fine; the host itself is not among them.
 */
export function dependenciesOf(host: string, map: DependencyMap): readonly string[] {
  const needs = new Map<string, string[]>();
  for (const [needed, dependents] of map) {
    for (const dependent of dependents) {
      const known = needs.get(dependent);
      if (known === undefined) needs.set(dependent, [needed]);
      else known.push(needed);
    }
  }
  const found = new Set<string>([host]);
  let pass: readonly string[] = [host];
  while (pass.length > 0) {
    const next = new Set(pass.flatMap((name) => needs.get(name) ?? []).filter((name) => !found.has(name)));
    pass = [...next].sort();
    for (const name of pass) found.add(name);
  }
  found.delete(host);
  return [...found];
}
