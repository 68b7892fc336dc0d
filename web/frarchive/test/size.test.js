import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";

const MOST_BYTES = 20_000;

test("the reader is small", () => {
  const { outputFiles, metafile } = buildSync({
    entryPoints: [fileURLToPath(new URL("../dist/index.js", import.meta.url))],
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
    metafile: true,
    outdir: "out",
  });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`frarchive: ${outputFiles[0].contents.length} bytes minified, ${size} gzipped`);
  assert.ok(size < MOST_BYTES, `${size} bytes`);
  const foreign = Object.keys(metafile.inputs).filter((one) => !one.includes("dist/"));
  assert.deepEqual(foreign, []);
});
