import assert from "node:assert/strict";
import { test } from "node:test";
import { skeletonText } from "../dist/archive.js";
import { readSections } from "../dist/container.js";
import { ArchiveError, decode, expand } from "../dist/index.js";
import { expandText } from "../dist/skeleton.js";
import { cases, missing, WHOLE } from "./corpus.js";
import { framed, joined, section } from "./samples.js";

const FILES = Number(process.env.FRARCHIVE_MUTATIONS ?? 3000);
const MEMORY = 96 * 2 ** 20;
const EXTREMES = [0, 1, 127, 128, 255];
const SKELETON = 2;
/** Whole files and the arrays of expansions, until the collector of garbage has come. */
const MOST_RESIDENT = 2 ** 30;
/** The longest time that one file takes, in milliseconds, on a machine that is busy. */
const LONGEST = 20_000;

let state = 5;

/** A whole number below `limit`. A generator of 32 bits, so that a run can be repeated. */
function random(limit) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

function pick(list) {
  return list[random(list.length)];
}

function mutated(data) {
  let bytes = [...data];
  for (let left = pick([1, 1, 1, 2, 4]); left > 0; left--) bytes = mutatedOnce(bytes);
  return Uint8Array.from(bytes);
}

function mutatedOnce(bytes) {
  const place = random(bytes.length + 1);
  const before = bytes.slice(0, place);
  const rest = bytes.slice(place);
  switch (random(6)) {
    case 0:
      return [
        ...before,
        ...rest.slice(0, 1).map((byte) => byte ^ (1 << random(8))),
        ...rest.slice(1),
      ];
    case 1:
      return [
        ...before,
        ...rest.slice(0, 1).map(() => pick([...EXTREMES, random(256)])),
        ...rest.slice(1),
      ];
    case 2:
      return [...before, ...Array.from({ length: 1 + random(3) }, () => random(256)), ...rest];
    case 3:
      return [...before, ...rest.slice(1 + random(3))];
    case 4:
      return before;
    default:
      return [...bytes, ...rest.slice(0, 1 + random(8))];
  }
}

/** A right frame and one wrong payload, so that the mutation reaches the decoders. */
function reframed(data) {
  const sections = [...readSections(data)];
  const wrong = random(sections.length);
  const body = sections.map(([kind, { payload }], at) => {
    return section(kind, at === wrong ? mutated(payload) : payload);
  });
  return framed(joined(...body), data[3]);
}

/** The file of an archive, or `undefined` where it has none. */
function opened(data) {
  const archive = decode(data);
  return archive.skeleton && expand(archive, MEMORY);
}

/** That of a mutated text of the skeleton, mostly its program, which no compression protects. */
function expanded(data) {
  const archive = decode(data);
  const skeleton = readSections(data).get(SKELETON);
  if (!skeleton) return opened(data);
  const text = skeletonText(skeleton);
  const head = random(4) === 0 ? text.length : Math.min(text.length, 400);
  return expandText(joined(mutated(text.subarray(0, head)), text.subarray(head)), archive, MEMORY);
}

test(
  `${FILES} mutations neither crash nor hang nor fill the memory`,
  { skip: missing(WHOLE) },
  () => {
    const seeds = cases(WHOLE).filter(
      ({ contents, data }) => contents !== "refused" && data.length < 30_000,
    );
    const small = seeds.filter(({ data }) => data.length < 1000);
    const networks = seeds.filter(({ name }) => name.startsWith("network-"));
    const kinds = [
      ({ data }) => opened(mutated(data)),
      ({ data }) => opened(framed(mutated(data.subarray(8)), data[3])),
      ({ data }) => opened(reframed(data)),
      ({ data }) => expanded(data),
    ];
    const count = { refused: 0, read: 0, expanded: 0 };
    let longest = 0;
    for (let number = 0; number < FILES; number++) {
      const isLarge = number % 4 === 3 && number % 100 === 99;
      const seed = pick(isLarge ? networks : number % 10 === 0 ? seeds : small);
      const start = performance.now();
      try {
        const file = kinds[number % 4](seed);
        count[file ? "expanded" : "read"]++;
        if (file) assert.equal(new TextDecoder().decode(file.subarray(4, 8)), "TFL3");
      } catch (error) {
        if (!(error instanceof ArchiveError)) throw error;
        count.refused++;
      }
      longest = Math.max(longest, performance.now() - start);
    }
    const resident = 1024 * process.resourceUsage().maxRSS;
    console.log(
      `${FILES} mutations: ${count.refused} refused, ${count.read} read, ${count.expanded} ` +
        `expanded; at most ${Math.round(longest)} ms and ${Math.round(resident / 2 ** 20)} MB`,
    );
    assert.equal(count.refused + count.read + count.expanded, FILES);
    assert.ok(
      count.refused > FILES / 2 && count.read > FILES / 1000 && count.expanded > FILES / 1000,
    );
    assert.ok(longest < LONGEST && resident < MOST_RESIDENT);
  },
);
