import { createHash } from "node:crypto";
import { ArchiveError, Codebook, decode, expand, Signs } from "../dist/index.js";

const MEMORY = 320 * 2 ** 20;
const FEW = 64;

/** What this reader says about a file, in the words of `tools/android/corpus.py`. */
export function verdict(data, read = decode) {
  const archive = refusable(() => read(data));
  if (archive === "refused") return { contents: "refused", file: "none" };
  return { contents: digest(archive), file: archive.skeleton ? expanded(archive) : "none" };
}

function expanded(archive) {
  const file = refusable(() => expand(archive, MEMORY));
  return file === "refused" ? file : createHash("sha256").update(file).digest("hex");
}

function refusable(action) {
  try {
    return action();
  } catch (error) {
    if (error instanceof ArchiveError) return "refused";
    throw error;
  }
}

/** The SHA-256 of what an archive holds, and of the real numbers that follow. */
function digest({ architecture, tensors, vectors, kernels }) {
  const sha = createHash("sha256");
  sha.update(
    architecture.kind === "config"
      ? architecture.json
      : `[${quoted(architecture.name)},${architecture.arguments}]`,
  );
  for (const one of [...tensors, ...vectors]) {
    quantized(sha, one);
    const length = one.values.length;
    if (length <= FEW) sha.update(one.rebuild(length + 7));
  }
  for (const one of kernels) {
    sha.update(Int32Array.of(one.columns));
    if (one instanceof Codebook) codebook(sha, one);
    else if (one instanceof Signs) signs(sha, one);
    else quantized(sha, one.numbers);
  }
  return sha.digest("hex");
}

function quantized(sha, one) {
  sha.update(Int32Array.of(one.values.length, one.step)).update(one.values).update(one.reals());
}

function codebook(sha, one) {
  const { places, levels } = one;
  sha.update(Int32Array.of(places.length, levels.length)).update(levels);
  sha.update(Int32Array.from(places)).update(one.reals());
}

function signs(sha, one) {
  sha.update(Int32Array.of(one.size)).update(BigUint64Array.of(one.seed));
  sha.update(Float32Array.of(one.scale)).update(one.reals());
}

function quoted(name) {
  return `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
