// Crash points of a run on etcd.
import { describe, inject } from "vitest";
import { freshUrl } from "../../stores/etcd/place.js";
import { describeCrashesOnStore } from "./suite.js";

describe.skipIf(inject("etcd").missing !== null)("etcd", () => describeCrashesOnStore("etcd", freshUrl));
