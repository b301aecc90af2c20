// The bytes of etcd's messages: numbers of any size come back as they were, and what is no message is refused.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MessageCutter, framed } from "../../../../src/stores/etcd/wire/grpc.js";
import { after, decodeWatch } from "../../../../src/stores/etcd/wire/messages.js";
import { MessageReader, MessageWriter } from "../../../../src/stores/etcd/wire/protobuf.js";

describe("a message", () => {
  test("has its numbers and texts again when it is read", () => {
    const fields = fc.record({
      field: fc.integer({ min: 1, max: 200 }),
      revision: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      lease: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      text: fc.string({ unit: "binary" }),
      isSet: fc.boolean(),
    });
    fc.assert(
      fc.property(fields, ({ field, revision, lease, text, isSet }) => {
        const inner = new MessageWriter()
          .integer(field, lease)
          .bytes(field + 1, text)
          .finish();
        const message = new MessageWriter()
          .integer(field, revision)
          .message(field + 1, inner)
          .flag(field + 2, isSet)
          .finish();
        const read = new MessageReader(message);
        expect(read.integer(field)).toBe(revision);
        expect(read.flag(field + 2)).toBe(isSet);
        expect(read.message(field + 1).identifier(field)).toBe(String(lease));
        expect(read.message(field + 1).text(field + 1)).toBe(text);
      }),
    );
  });

  test.each([
    ["that ends within a field", [0x0a, 5, 1]],
    ["with a number without an end", [0x08, ...Array.from({ length: 11 }, () => 0xff)]],
    ["with a field of an unknown kind", [0x0f, 1]],
  ])("%s is refused", (_, bytes) => {
    expect(() => new MessageReader(Buffer.from(bytes))).toThrow(RangeError);
  });

  test("comes out of a stream whole, however it is cut", () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.integer({ min: 1, max: 30 }), (sent, size) => {
        const stream = Buffer.concat(sent.map((message) => framed(Buffer.from(message))));
        const received: number[][] = [];
        const cutter = new MessageCutter((message) => received.push([...message]));
        for (let at = 0; at < stream.length; at += size) cutter.push(stream.subarray(at, at + size));
        expect(received).toEqual(sent.map((message) => [...message]));
      }),
    );
  });
});

test("a watch whose revision was compacted has ended, and says so", () => {
  const header = new MessageWriter().integer(3, 9).finish();
  const compacted = new MessageWriter().message(1, header).flag(4, true).integer(5, 7).finish();
  expect(decodeWatch(compacted)).toMatchObject({ canceled: "etcdserver: mvcc: required revision has been compacted", keys: [] });
});

test("the end of a prefix is the first key after all that begin with it", () => {
  expect(after("/holdline/")).toBe("/holdline0");
});
