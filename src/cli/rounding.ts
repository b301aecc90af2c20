// Rounds numbers for the log: measured times have more digits than the measurement.
import type { Log } from "../locks/log.js";

/** A log that rounds the numbers in its details: to whole ones from 100 on, to three digits below. */
export function rounding(log: Log): Log {
  return {
    debug: (details, message) => log.debug(rounded(details), message),
    info: (details, message) => log.info(rounded(details), message),
    warn: (details, message) => log.warn(rounded(details), message),
    error: (details, message) => log.error(rounded(details), message),
  };
}

function rounded(details: object): object {
  return Object.fromEntries(Object.entries(details).map(([key, value]) => [key, roundedValue(value)]));
}

function roundedValue(value: unknown): unknown {
  if (typeof value === "number" && Number.isFinite(value) && !Number.isInteger(value))
    return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
  if (Array.isArray(value)) return value.map(roundedValue);
  const isPlain = typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return isPlain ? rounded(value) : value;
}
