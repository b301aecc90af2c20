// What an answer without a status of gRPC's own means: something between us and etcd has spoken.
import { expect, test } from "vitest";
import { Code, GrpcError } from "../../../../src/stores/etcd/wire/errors.js";
import { statusOf } from "../../../../src/stores/etcd/wire/grpc.js";

const codeOf = (http: number): number | null => {
  const status = statusOf({ ":status": String(http) });
  return status instanceof GrpcError ? status.code : null;
};

// A gateway says so of what it may have passed on: then nobody knows whether etcd has done it.
test.each([429, 502, 503, 504])("HTTP status %i leaves open what has become of a request", (http) => {
  expect(codeOf(http)).toBe(Code.unavailable);
});

test.each([400, 404, 500])("HTTP status %i is no etcd's", (http) => expect(codeOf(http)).toBe(Code.unknownMethod));

test("HTTP status 200 says nothing yet", () => expect(codeOf(200)).toBeNull());
