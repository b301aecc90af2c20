export type Need = "zookeeper" | "build" | "ps" | "browser" | "shells" | "man page readers" | "foreign clients" | "time";
export type Project = "unit" | "machine" | "zookeeper";

export const NEEDS: readonly Need[];
export const PROJECTS: readonly Project[];
export function projectOf(file: string): Project;
export function testFiles(): string[];
export function needsOf(file: string): Set<Need>;
