import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { imported } from "./source.js";

const { sha256 } = await imported("sha256");
const { picture, SEVEN, SIDE } = await imported("strokes");
const { classesOf, gray, inputs, overlay, resized } = await imported("pictures");
const { agreement, percentile, times } = await imported("statistics");

test("SHA-256 is that of Node, at every length around a block", () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000]) {
    const data = Uint8Array.from({ length }, (_, at) => at * 37);
    assert.equal(sha256(data), createHash("sha256").update(data).digest("hex"));
  }
});

test("a drawing is fitted into the middle of its picture", () => {
  const rows = (pixels) =>
    [...Array(SIDE).keys()].filter((row) => {
      return pixels.subarray(row * SIDE, (row + 1) * SIDE).some((one) => one > 1);
    });
  const found = picture(SEVEN);
  assert.deepEqual([rows(found)[0], rows(found).at(-1)], [4, 23]);
  // The same strokes elsewhere and larger are the same picture.
  const moved = SEVEN.map((stroke) => stroke.map(({ x, y }) => ({ x: 3 * x + 50, y: 3 * y - 9 })));
  picture(moved).forEach((one, at) => assert.ok(Math.abs(one - found[at]) < 1e-3));
  assert.ok(picture([]).every((one) => one === 0));
  assert.ok(picture([[{ x: 9, y: 9 }]])[14 * SIDE + 14] > 200);
});

test("pictures shrink by the mean of what a pixel covers", () => {
  const pixels = Float32Array.from({ length: 36 }, (_, at) => at);
  const brute = (row, column) => {
    const covered = [0, 1, 2].flatMap((y) =>
      [0, 1, 2].map((x) => pixels[(3 * row + y) * 6 + 3 * column + x]),
    );
    return covered.reduce((sum, one) => sum + one) / 9;
  };
  assert.deepEqual(
    [...resized(pixels, 6, 2)],
    [brute(0, 0), brute(0, 1), brute(1, 0), brute(1, 1)],
  );
  // 3 pixels in 2: the middle one is halved.
  const thirds = resized(Float32Array.of(0, 3, 6, 0, 3, 6, 0, 3, 6), 3, 2);
  thirds.forEach((one, at) => assert.ok(Math.abs(one - (at % 2 ? 5 : 1)) < 1e-6));
  assert.ok(Math.abs(gray([255, 255, 255, 255])[0] - 255) < 1e-3);
  assert.deepEqual([...inputs(Float32Array.of(0, 2), { scale: 0.5, offset: -1 })], [-1, 0]);
});

test("classes and their overlay", () => {
  const classes = classesOf(Float32Array.of(1, 1, 0, 2, 3, 1), 2);
  assert.deepEqual([...classes], [0, 1, 0]); // the first of equal ones, as numpy has it
  assert.deepEqual(
    [...overlay(classes)].filter((_, at) => at % 4 === 3),
    [0, 255, 0],
  );
});

test("times and percentiles are those of numpy", () => {
  assert.equal(percentile([3, 1, 2, 10], 50), 2.5);
  assert.ok(Math.abs(percentile([3, 1, 2, 10], 95) - 8.95) < 1e-9);
  const found = times(7, 9, [1, 2, 3]);
  assert.deepEqual(
    [found.runs, found.init_us, found.first_us, found.median_us],
    [3, 7000, 9000, 2000],
  );
});

test("agreement is that of `fr-keras benchmark`", () => {
  const expected = [Float32Array.of(0, 1, 3, 2), Float32Array.of(0, 0, 1, 0)];
  const found = [Float32Array.of(0, 1, 3, 4), Float32Array.of(0, 0, 1, 0)];
  const shape = [1, 2, 2];
  assert.deepEqual(agreement(found, expected, shape), {
    rows: 2,
    largest: 2,
    relative: 2 / 3,
    argmax: 0.75,
  });
  const wrong = agreement([Float32Array.of(Number.NaN, 1)], [Float32Array.of(1, 1)], [1, 2]);
  assert.equal(wrong.largest, Number.MAX_VALUE);
});
