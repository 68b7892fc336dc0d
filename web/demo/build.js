/** Bundles the page into a folder: `node build.js ../../build/web/demo`. */
import { cpSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const RUNTIME = fileURLToPath(new URL("../wasm", import.meta.resolve("@litertjs/core")));
const [target] = process.argv.slice(2);

if (!target) throw new Error("Name the folder: node build.js FOLDER");
await build({
  absWorkingDir: HERE,
  entryPoints: ["src/main.ts", "src/worker.ts", "src/service.ts"],
  bundle: true,
  minify: true,
  target: "es2023",
  outdir: target,
  logLevel: "warning",
});
cpSync(join(HERE, "static"), target, { recursive: true });
mkdirSync(join(target, "litert"), { recursive: true });
for (const name of readdirSync(RUNTIME)) cpSync(join(RUNTIME, name), join(target, "litert", name));
