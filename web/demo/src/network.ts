import { contents, type ModelFile } from "./catalog.js";
import type { Engine } from "./engine.js";
import type { Loaded } from "./protocol.js";
import type { Way } from "./capabilities.js";

/** The flatbuffer of a bundled file, which is checked against its index. */
export async function flatbuffer(engine: Engine, model: ModelFile): Promise<Uint8Array> {
  const data = await contents(model.file);
  const { file, sha256 } = await opened(engine, data);
  if (sha256 !== model.sha256) {
    throw new Error(`'${model.file}' is damaged or out of date: reload the page.`);
  }
  return file;
}

/** The flatbuffer of a `.fr` or `.tflite` file, and its SHA-256. */
export async function opened(
  engine: Engine,
  data: Uint8Array,
): Promise<{ file: Uint8Array; sha256: string }> {
  const isArchive = data[0] === 0xf7 && data[1] === 0x46 && data[2] === 0x52;
  if (isArchive) return engine.ask("expand", { data, isCut: false });
  return { file: data, sha256: await engine.ask("hash", { file: data }) };
}

/** A network of one input and one output on a worker, for the screens that show what it sees. */
export class Network {
  private file: Uint8Array | undefined;
  /** Nothing where the worker has been ended since: then the next run loads the network again. */
  private loaded: Loaded | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly way: Way,
  ) {}

  /** Whether there is a network. */
  get isReady(): boolean {
    return this.file !== undefined;
  }

  /** The length of the last axis of the output: its classes. */
  get classes(): number {
    return this.loaded?.outputs[0].shape.at(-1) ?? 1;
  }

  /** The side of the pictures that it takes. */
  get side(): number {
    return this.loaded?.inputs[0].shape[1] ?? 1;
  }

  /** Takes another flatbuffer. */
  async load(file: Uint8Array): Promise<void> {
    const { variant, accelerator, threads } = this.way;
    this.loaded = await this.engine.ask("load", { file, variant, accelerator, threads });
    this.file = file;
  }

  /** Returns the output, and how many milliseconds it took. */
  async run(input: Float32Array): Promise<{ output: Float32Array; milliseconds: number }> {
    if (!this.loaded && this.file) await this.load(this.file);
    try {
      const { outputs, milliseconds } = await this.engine.ask("run", { inputs: [input] });
      return { output: outputs[0], milliseconds };
    } catch (error) {
      this.loaded = undefined;
      throw error;
    }
  }
}
