import assert from "node:assert/strict";
import { test } from "node:test";
import { cases, missing, PREFIXES, WHOLE } from "./corpus.js";
import { decodePrefix } from "../dist/index.js";
import { verdict } from "./verdict.js";

/** The cases of a folder on which this reader says something else than Python. */
function differences(all, read) {
  return all.flatMap(({ name, data, ...expected }) => {
    const found = verdict(data, read);
    const isSame = found.contents === expected.contents && found.file === expected.file;
    return isSame ? [] : [{ name, found, expected }];
  });
}

test("contents and files are those of Python", { skip: missing(WHOLE) }, () => {
  const all = cases(WHOLE);
  const different = differences(all);
  const count = (rule) => all.filter(rule).length;
  console.log(
    `${all.length} archives: ${count((one) => one.contents === "refused")} refused, ` +
      `${count((one) => one.file.length === 64)} expanded, ` +
      `${count((one) => one.file === "refused")} with a skeleton that is refused`,
  );
  assert.deepEqual(different.slice(0, 20), [], `${different.length} differ`);
  for (const name of [
    "golden-archive_v1",
    "golden-archive_v2",
    "golden-archive_v2_codebooks",
    "golden-archive_v2_signs",
  ]) {
    assert.equal(all.find((one) => one.name === name).contents.length, 64);
  }
  for (const name of ["network-unet", "network-plain", "network-solved"]) {
    assert.equal(all.find((one) => one.name === name).file.length, 64);
  }
});

test("beginnings are read as Python reads them", { skip: missing(PREFIXES) }, () => {
  const all = cases(PREFIXES);
  assert.deepEqual(differences(all, decodePrefix), []);
  const read = new Set(all.map((one) => one.contents));
  assert.ok(read.has("refused") && read.size > 50, `${read.size} different contents`);
});
