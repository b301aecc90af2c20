export type Server = "zookeeper" | "etcd" | "postgresql" | "redis" | "mariadb" | "dynamodb";
export type Need = Server | "build" | "ps" | "browser" | "shells" | "man page readers" | "foreign clients" | "time";

export const NEEDS: readonly Need[];
export const SERVERS: readonly Server[];
/** `unit`, `machine`, or the servers that a file's tests share, joined by `+`. */
export function projectOf(file: string): string;
export function testFiles(): string[];
export function needsOf(file: string): Set<Need>;
