// Which hosts are locked along with a host: those that it depends on, and whatever they depend on. A pure function over
// the declared map.

/** By host, the hosts that depend on it. */
export type DependencyMap = ReadonlyMap<string, readonly string[]>;

/**
 * The hosts that `host` depends on, directly or through others: those it depends on itself first, then those of these,
 * and so on, by name within each pass. Cycles are fine; the host itself is not among them.
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
