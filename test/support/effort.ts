// How much of what is generated a run tries: HOLDLINE_TEST_EFFORT, 1 by default, 10 for a night. What has once been found
// that way is a case of its own beside it, and is tried whatever the effort.

/** How many of each there are at an effort of 1. */
const AT_EFFORT_1 = { casesPerDoor: 150, windowCases: 15, simulatedSeeds: 1_000, chaosMinutes: 1 };

const effort = parseEffort(process.env["HOLDLINE_TEST_EFFORT"]);

/** Generated cases for each property of a door. */
export const CASES_PER_DOOR = scaled(AT_EFFORT_1.casesPerDoor);

/** Sets of windows, each of which somebody goes through minute by minute. */
export const WINDOW_CASES = scaled(AT_EFFORT_1.windowCases);

/** Fleets that are simulated. */
export const SIMULATED_SEEDS = scaled(AT_EFFORT_1.simulatedSeeds);

/** How long the nemesis rages. Below a minute it does not come to all of its faults. */
export const CHAOS_MINUTES = Math.max(1, AT_EFFORT_1.chaosMinutes * effort);

/** Whether a run is killed at each of its points, or at each third of those where only its own files are touched. */
export const EVERY_CRASH_POINT = effort >= 2;

/** Whether the packed example is held to the whole suite, which takes minutes. */
export const WHOLE_SUITE_ON_EXAMPLES = effort >= 2;

/** Whether the built program is tried on both stores in everything, or on ZooKeeper, and on SQLite in what every store is tried in. */
export const ON_BOTH_STORES = effort >= 2;

/** Whether beneath TLS and SASL sessions of ZooKeeper expire and servers are silent too, beside replies that are lost. */
export const BREAKS_SECURE_CONNECTIONS = effort >= 2;

/** The counts in one line. */
export const EFFORT_SUMMARY = `effort ${effort} (HOLDLINE_TEST_EFFORT): ${CASES_PER_DOOR} cases for each property of a door, ${SIMULATED_SEEDS} simulated seeds, ${CHAOS_MINUTES} min of chaos`;

/** A deadline for something whose length grows with the effort. */
export function deadlineMs(ms: number): number {
  return ms * Math.max(1, effort);
}

function scaled(count: number): number {
  return Math.ceil(count * effort);
}

function parseEffort(text: string | undefined): number {
  if (text === undefined || text === "") return 1;
  const value = Number(text);
  // More than a thousand times as much takes days.
  if (!(value > 0 && value <= 1_000))
    throw new Error(`HOLDLINE_TEST_EFFORT must be a number above 0, such as 0.1, 1 or 10, and is ${text}`);
  return value;
}
