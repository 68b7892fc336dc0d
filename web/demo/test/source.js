import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Imports a module of `src`. */
export async function imported(name) {
  const entry = fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url));
  const options = {
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    platform: "neutral",
    write: false,
  };
  const { outputFiles } = await build(options);
  return import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`
  );
}
