import assert from "node:assert/strict";
import { test } from "node:test";
import { ArchiveError, decode, decodePrefix, expand } from "../dist/index.js";
import { bytes, EXAMPLE, framed, joined, KERNELS, section, varint } from "./samples.js";

const BODY = EXAMPLE.subarray(8);
const HEAD = BODY.subarray(0, 12);
const COEFFICIENTS = BODY.subarray(12);

/** With so many bytes the table of the example is known, as Python says. */
const FIRST_READABLE = 26;

function numbers(series) {
  return series.map((one) => [...one.values]);
}

function refusal(action) {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ArchiveError, error.stack);
    return error;
  }
  assert.fail("it is not refused");
}

test("the worked example of the page is read", () => {
  const archive = decode(EXAMPLE);
  assert.deepEqual(archive.architecture, {
    kind: "reference",
    name: "lenet5",
    arguments: '{"batch_norm":true}',
  });
  assert.deepEqual(numbers(archive.tensors), [
    [9, -4, 0, 1, -2, 0, 0, 1],
    [3, -1, 0, 0],
  ]);
  assert.deepEqual(
    archive.tensors.map((one) => one.step),
    [-24, -20],
  );
  assert.deepEqual(numbers(archive.vectors), [[12, -3, 1]]);
  assert.match(refusal(() => expand(archive)).message, /skeleton/);
});

test("every truncation and every flipped bit is refused", () => {
  for (let end = 0; end < EXAMPLE.length; end++) {
    refusal(() => decode(EXAMPLE.subarray(0, end)));
    if (end >= 8) refusal(() => decode(framed(EXAMPLE.subarray(8, end))));
  }
  for (let place = 0; place < 8 * EXAMPLE.length; place++) {
    const flipped = EXAMPLE.slice();
    flipped[place >> 3] ^= 1 << (place & 7);
    refusal(() => decode(flipped));
  }
});

test("a prefix holds the first coefficients of each tensor", () => {
  const whole = numbers(decode(EXAMPLE).tensors);
  const counts = [];
  for (let end = 0; end <= EXAMPLE.length; end++) {
    const prefix = EXAMPLE.subarray(0, end);
    if (end < FIRST_READABLE) {
      refusal(() => decodePrefix(prefix));
      continue;
    }
    const found = numbers(decodePrefix(prefix).tensors);
    found.forEach((values, at) => assert.deepEqual(values, whole[at].slice(0, values.length)));
    counts.push(found.flat().length);
  }
  assert.deepEqual(counts, [0, 2, 4, 6, 6, 12]);
});

test("an error says where it is", () => {
  const wrong = EXAMPLE.slice();
  wrong[wrong.length - 1]++;
  const cases = [
    [new Uint8Array(0), 0],
    [framed(BODY, 0), 3],
    [framed(BODY, 2), 3],
    [framed(BODY, 3), 3],
    [framed(joined(HEAD, section(3, KERNELS), COEFFICIENTS)), 3],
    [wrong, 4],
    [framed(section(7, [])), 8],
    [framed(joined(bytes("80 00"), BODY)), 8],
    [framed(joined(section(1, []), BODY)), 9],
    [framed(joined(BODY, [0])), EXAMPLE.length],
  ];
  for (const [data, offset] of cases) {
    const error = refusal(() => decode(data));
    assert.equal(error.offset, offset, error.message);
    assert.ok(error.message.endsWith(`(at byte ${offset})`), error.message);
  }
});

test("reserved sections are skipped", () => {
  const reserved = joined(section(4, [0, 0, 0]), section(6, []));
  assert.equal(decode(framed(joined(HEAD, reserved, COEFFICIENTS))).tensors.length, 2);
});

test("version 2 is for kernels in space, and no other version", () => {
  const kernels = joined(HEAD, section(3, KERNELS), COEFFICIENTS);
  assert.equal(decode(framed(kernels, 2)).kernels.length, 3);
  assert.match(refusal(() => decode(framed(kernels, 1))).message, /version 2 if it holds kernels/);
  assert.match(refusal(() => decode(framed(BODY, 2))).message, /version 2 if it holds kernels/);
  assert.match(refusal(() => decode(framed(kernels, 3))).message, /not 3/);
});

test("a declared length takes no memory", () => {
  const declared = framed(joined(varint(8 * (2 ** 25 - 1)), new Uint8Array(100)));
  assert.match(refusal(() => decode(declared)).message, /cut/);
});
