import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** What `tools/android/corpus.py` and `tools/web/prefixes.py` write. */
export const WHOLE = `${ROOT}build/android/corpus`;
export const PREFIXES = `${ROOT}build/web/prefixes`;
const STORED = 0;
const END_OF_DIRECTORY = 0x06054b50;
const END_BYTES = 22;

/** Why there are no archives to compare with, or `undefined` where there are some. */
export function missing(folder) {
  if (existsSync(`${folder}/verdicts.tsv`)) return undefined;
  return `there are no archives to compare with in '${folder}': run \`make web\``;
}

/**
 * The archives of a folder with Python's verdicts: `contents` is "refused" or the SHA-256 of what
 * it holds, `file` "none" without a skeleton, "refused", or that of the file.
 */
export function cases(folder) {
  const files = stored(readFileSync(`${folder}/archives.zip`));
  const lines = readFileSync(`${folder}/verdicts.tsv`, "utf8").trim().split("\n");
  return lines.map((line) => {
    const [name, contents, file] = line.split("\t");
    return { name, data: files.get(name), contents, file };
  });
}

/** The files of an archive of zip that are stored as they are. */
function stored(zip) {
  const end = zip.length - END_BYTES;
  if (zip.readUInt32LE(end) !== END_OF_DIRECTORY) throw new Error("it has a comment, or is no zip");
  const files = new Map();
  let entry = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((at) =>
      zip.readUInt16LE(entry + at),
    );
    if (zip.readUInt16LE(entry + 10) !== STORED) throw new Error("a file is compressed");
    const local = zip.readUInt32LE(entry + 42);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const name = zip.toString("utf8", entry + 46, entry + 46 + nameBytes);
    files.set(name, new Uint8Array(zip.subarray(start, start + zip.readUInt32LE(entry + 20))));
    entry += 46 + nameBytes + extraBytes + commentBytes;
  }
  return files;
}
