import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { crc32 } from "../dist/checksum.js";
import { Cosines } from "../dist/cosines.js";
import { DICTIONARY } from "../dist/dictionary.js";
import { ArchiveError, Quantized, Signs } from "../dist/index.js";
import { decompress } from "../dist/lz.js";
import { interleaved } from "../dist/order.js";
import { philox } from "../dist/philox.js";
import { RangeDecoder } from "../dist/rangedecoder.js";
import { zigzag } from "../dist/zigzag.js";
import { bytes } from "./samples.js";

function row(length, u) {
  const out = new Float64Array(length);
  new Cosines(length).row(u, 0, out);
  return out;
}

function bits(real) {
  return new BigUint64Array(Float64Array.of(real).buffer)[0];
}

test("cosines have the bits of the page", () => {
  // The first number of a row is at place u of the quarter, times the row's scale.
  const expected = [
    [500, 123, 0x3feda3f812810442n],
    [500, 400, 0x3fd3c6ef372fe94fn],
    [25088, 20000, 0x3fd40b918eaf13f3n],
  ];
  for (const [length, u, cosine] of expected) {
    const exact = new Float64Array(BigUint64Array.of(cosine).buffer)[0];
    assert.equal(bits(row(length, u)[0]), bits(Math.sqrt(2 / length) * exact));
  }
});

test("cosines are mirrored", () => {
  for (let u = 0; u < 5; u++) {
    const found = row(5, u);
    for (let i = 0; i < 5; i++) {
      assert.ok(found[4 - i] === (u % 2 === 0 ? 1 : -1) * found[i]);
      const reference = Math.sqrt((u ? 2 : 1) / 5) * Math.cos((Math.PI * (2 * i + 1) * u) / 10);
      assert.ok(Math.abs(found[i] - reference) < 1e-15); // rounding of double precision
    }
  }
});

test("a part of a row is that of the whole row", () => {
  const part = new Float64Array(3);
  new Cosines(7).row(5, 4, part);
  assert.deepEqual(part, row(7, 5).slice(4));
});

test("a vector is rebuilt to the bit", () => {
  const vector = new Quantized(Int32Array.of(12, -3, 1), -16);
  assert.deepEqual(
    new Uint32Array(vector.rebuild(5).buffer),
    Uint32Array.of(0x3f825bfa, 0x3f81c9c4, 0x3f977dcf, 0x3fc929ed, 0x3ff5d8f3),
  );
  assert.deepEqual(new Quantized(new Int32Array(0), 0).rebuild(3), new Float32Array(3));
  assert.throws(() => vector.rebuild(2), RangeError);
});

test("steps are eight to the octave", () => {
  const one = (step, value = 0) => new Quantized(Int32Array.of(value), step);
  assert.equal(one(0).stepSize, 1);
  assert.equal(one(-16).stepSize, 0.25);
  assert.equal(one(4).stepSize, 1.414215087890625);
  assert.equal(one(-512).stepSize * 2 ** 64, 1);
  assert.equal(one(-16, 3).reals()[0], 0.75);
});

test("numbers interleave by time, and ties go to the earlier series", () => {
  assert.deepEqual([...interleaved(Int32Array.of(2, 4))], [1, 0, 1, 1, 0, 1]);
  assert.deepEqual([...interleaved(Int32Array.of(3, 0, 3, 1))], [0, 2, 0, 2, 3, 0, 2]);
});

test("a compressed text is read", () => {
  const payload = bytes("3a 11 72 51 0e 2f ec 68 69 59 1b ad");
  const read = (data, most = 35) => decompress(new RangeDecoder(data), most, new Uint8Array(1));
  assert.equal(new TextDecoder().decode(read(payload)), "abracadabra abracadabra abracadabra");
  assert.throws(() => read(payload, 34), ArchiveError);
  assert.throws(() => read(Uint8Array.of(...payload, 0)), ArchiveError);
  assert.throws(() => read(payload.subarray(0, 8)), ArchiveError);
});

test("zigzag is by weighted sum, then the tie rule", () => {
  // Sums 0 1 2 / 1 2 3: of equal ones, that with the smaller last index comes first.
  assert.deepEqual([...zigzag([2, 3], [1, 1])], [0, 3, 1, 4, 2, 5]);
  assert.deepEqual([...zigzag([2, 3], [9, 3])], [0, 1, 2, 3, 4, 5]);
});

test("zigzag is a plain sort by sum and tie rule", () => {
  const corner = [3, 2, 4, 3];
  const weights = [5, 1, 3, 2];
  const places = [];
  for (let flat = 0; flat < 72; flat++) {
    const index = [
      Math.floor(flat / 24),
      Math.floor(flat / 12) % 2,
      Math.floor(flat / 3) % 4,
      flat % 3,
    ];
    places.push({
      flat,
      sum: index.reduce((sum, one, axis) => sum + one * weights[axis], 0),
      index,
    });
  }
  const key = ({ sum, index }) => [sum, index[3], index[2], index[0], index[1]];
  places.sort((a, b) => {
    const [left, right] = [key(a), key(b)];
    const at = left.findIndex((one, place) => one !== right[place]);
    return left[at] - right[at];
  });
  assert.deepEqual(
    [...zigzag(corner, weights)],
    places.map(({ flat }) => flat),
  );
});

test("the words of Philox are those of numpy", () => {
  // `numpy.random.Philox(key=seed).random_raw(9)`, of which these are the words 0, 3, 4 and 8.
  const expected = [
    [0n, 0x2f4ba6408e4d89bn, 0x907d7a052fd5b4dcn, 0x809bf322883987c3n, 0x40fa86f0f781945dn],
    [1n, 0x4db6a27b756282dfn, 0x7f697696a0482a2n, 0xe677fe4bbd0452ecn, 0x6883d8d6d20a1807n],
    [
      2n ** 64n - 1n,
      0x3c2521c58dde5bfbn,
      0xb7552e878d1c26fen,
      0x59a439c096c17b4en,
      0xe44bf11f5921414n,
    ],
  ];
  for (const [seed, ...words] of expected) {
    const found = philox(seed, 9);
    assert.equal(found.length, 9);
    assert.deepEqual(
      [0, 3, 4, 8].map((at) => found[at]),
      words,
    );
  }
  assert.equal(philox(0n, 0).length, 0);
  const many = philox(2n ** 63n, 2 ** 18);
  assert.equal(many[2 ** 18 - 1], 0x419980d3259a334an);
});

test("signs are the bits of the words, the lowest first", () => {
  const found = new Signs(2n ** 64n - 1n, 0.5, 70, 7).reals();
  const words = philox(2n ** 64n - 1n, 2);
  const bit = (at) => (words[Math.floor(at / 64)] >> BigInt(at % 64)) & 1n;
  assert.deepEqual(
    found,
    Float32Array.from({ length: 70 }, (_, at) => (bit(at) === 1n ? 0.5 : -0.5)),
  );
  const many = new Signs(2n ** 63n, 2, 2 ** 24, 2 ** 12).reals();
  assert.equal(many.filter((one) => one === 2).length, 8386067);
});

test("the largest corners are sorted exactly", () => {
  const order = zigzag([2 ** 21, 2], [2 ** 20, 2 ** 20 - 1]);
  assert.deepEqual([...order.subarray(0, 4)], [0, 1, 2, 3]);
  assert.equal(order.at(-1), 2 ** 22 - 1);
});

test("the dictionary is that of the format", () => {
  const file = readFileSync(new URL("../../../fr_archive/dictionary.txt", import.meta.url));
  assert.equal(DICTIONARY, file.toString());
  assert.equal(crc32(file), 0xae536979);
});
