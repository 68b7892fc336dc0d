import { type CompiledModel, loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import type { Loaded, Tasks, Tensor as Described, Timed, Variant } from "./protocol.js";

const FOLDER = new URL("litert/", self.location.href).href;
const IDENTIFIER = [0x54, 0x46, 0x4c, 0x33];
const IDENTIFIER_AT = 4;
const SCRIPTS: Record<Variant, string> = {
  plain: "litert_wasm_internal.js",
  threaded: "litert_wasm_threaded_internal.js",
  jspi: "litert_wasm_jspi_internal.js",
};

let variantHere: Variant | undefined;
let runtime: Promise<unknown> | undefined;
let model: CompiledModel | undefined;

/** Makes a `.tflite` file ready to run. */
export async function load(wanted: Tasks["load"]["takes"]): Promise<Loaded> {
  const { file, accelerator, threads } = wanted;
  if (IDENTIFIER.some((byte, at) => file[IDENTIFIER_AT + at] !== byte)) {
    throw new Error("This is no .tflite file: its bytes 5 to 8 are not TFL3.");
  }
  await start(wanted.variant);
  model?.delete();
  model = undefined;
  const begin = performance.now();
  // `cpuOptions` is how the runtime's own default gives the number of threads.
  const options = { accelerator, cpuOptions: { numThreads: threads } };
  model = await loadAndCompile(file, options).catch((error: unknown) => {
    const said = error instanceof Error ? error.message : String(error);
    throw new Error(
      `The runtime does not take this network: it needs too much memory, has an op that the ` +
        `runtime lacks, or is damaged. The runtime says: ${said}`,
    );
  });
  const milliseconds = performance.now() - begin;
  const inputs = model.getInputDetails().map(described);
  const strange = inputs.find((one) => one.dtype !== "float32");
  if (strange) {
    throw new Error(
      `The input '${strange.name}' is ${strange.dtype}, but this page only gives float32: ` +
        "convert with --float-io.",
    );
  }
  const open = inputs.find(({ shape }) => shape.some((length) => length < 0));
  if (open) {
    throw new Error(
      `The input '${open.name}' has no fixed size: ${open.shape.join(" × ")}. This runtime needs ` +
        "one: convert with fixed lengths, as fr-keras convert does.",
    );
  }
  const outputs = model.getOutputDetails().map(described);
  return { inputs, outputs, milliseconds, isWhole: model.isFullyAccelerated };
}

/** Runs the network that was loaded. */
export async function run(given: readonly Float32Array[]): Promise<Tasks["run"]["gives"]> {
  const begin = performance.now();
  const outputs = await inference(given);
  return { outputs, milliseconds: performance.now() - begin };
}

/** Times the network that was loaded. */
export async function time({ inputs, warmup, runs }: Tasks["time"]["takes"]): Promise<Timed> {
  const times: number[] = [];
  for (let done = 0; done < warmup + runs; done++) {
    const begin = performance.now();
    await inference(inputs);
    times.push(performance.now() - begin);
  }
  return { first: times[0], times: times.slice(warmup) };
}

/** A runtime cannot be taken back, so a worker has one. Where it does not start, it never will. */
async function start(variant: Variant): Promise<void> {
  if (variantHere !== undefined && variantHere !== variant) {
    throw new Error("A worker has one build of the runtime.");
  }
  variantHere = variant;
  await (runtime ??= started(variant));
}

function started(variant: Variant): Promise<unknown> {
  // The script of the runtime cannot know its own address in a worker, but its threads load it.
  const held = self as unknown as { Module: object };
  held.Module = {
    mainScriptUrlOrBlob: FOLDER + SCRIPTS[variant],
    locateFile: (name: string) => FOLDER + name,
  };
  return loadLiteRt(FOLDER, { threads: variant === "threaded", jspi: variant === "jspi" });
}

async function inference(given: readonly Float32Array[]): Promise<Float32Array[]> {
  if (!model) throw new Error("No network is loaded.");
  const shapes = model.getInputDetails().map(({ shape }) => shape);
  const inputs = given.map((one, at) => new Tensor(one, shapes[at]));
  try {
    const outputs = await model.run(inputs);
    return await Promise.all(outputs.map(numbers));
  } finally {
    for (const one of inputs) one.delete();
  }
}

async function numbers(output: Tensor): Promise<Float32Array> {
  const found = Float32Array.from(await output.data());
  output.delete();
  return found;
}

function described({
  name,
  dtype,
  shape,
}: Omit<Described, "shape"> & { shape: Int32Array }): Described {
  return { name, dtype, shape: [...shape] };
}
