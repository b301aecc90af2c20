// The stream of a server's bytes is cut into frames, however the network has cut it.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Frames } from "../../../../src/coordinators/zookeeper/wire/jute.js";

function frame(body: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
}

test("all frames arrive whole and in order, wherever the stream is cut, although the read buffer is reused", () => {
  const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 });
  fc.assert(
    fc.property(bodies, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (all, pieces) => {
      const sent = all.map(frame);
      const stream = Buffer.concat(sent);
      const readInto = Buffer.alloc(30);
      const frames = new Frames();
      const got: Buffer[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const copied = stream.copy(readInto, 0, at, at + (pieces[turn % pieces.length] as number));
        at += copied;
        frames.push(readInto.subarray(0, copied), (one) => got.push(Buffer.from(one)) > 0);
        readInto.fill(0xff);
      }
      expect(got).toEqual(sent);
    }),
    { numRuns: 2_000 },
  );
});

test("no frame follows once the caller wants no more, nor the rest of one from a lost connection", () => {
  const frames = new Frames();
  const got: string[] = [];
  const two = Buffer.concat([frame(Buffer.from("one")), frame(Buffer.from("two"))]);
  frames.push(two, (one) => got.push(one.toString("latin1", 4)) < 1);
  expect(got).toEqual(["one"]);
  frames.push(two.subarray(0, 5), () => true);
  frames.clear();
  frames.push(two, (one) => got.push(one.toString("latin1", 4)) > 0);
  expect(got).toEqual(["one", "one", "two"]);
});

test.each([-1, 0, 2 ** 31 - 1])("a length of %i is refused", (length) => {
  for (const cut of [4, 2]) {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(length);
    const frames = new Frames();
    expect(() => {
      frames.push(bytes.subarray(0, cut), () => true);
      frames.push(bytes.subarray(cut), () => true);
    }).toThrow("does not speak ZooKeeper's protocol");
  }
});
