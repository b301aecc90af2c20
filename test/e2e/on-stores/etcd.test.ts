// etcd from end to end.
import { describe, inject } from "vitest";
import { freshUrl } from "../../stores/etcd/place.js";
import { describeOnStore } from "./suite.js";

describe.skipIf(inject("etcd").missing !== null)("etcd", () => describeOnStore("etcd", freshUrl));
