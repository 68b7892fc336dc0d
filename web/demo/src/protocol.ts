/** What the page asks of the worker, and what it answers. */

/** By what a network is run. */
export type Accelerator = "wasm" | "webgpu" | "webnn";

/** Which build of the runtime a worker loads: with threads, with WebNN, or without either. */
export type Variant = "plain" | "threaded" | "jspi";

/** An input or an output of a network. */
export interface Tensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** A network that is ready to run. */
export interface Loaded {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly milliseconds: number;
  /** Whether the accelerator took all of it. */
  readonly isWhole: boolean;
}

/** A `.tflite` file that came out of an archive. */
export interface Expanded {
  readonly file: Uint8Array<ArrayBuffer>;
  readonly sha256: string;
}

/** Inferences of one input, the first of which is timed by itself. */
export interface Timed {
  readonly first: number;
  readonly times: readonly number[];
}

/** Name of a task -> what it takes and gives. */
export interface Tasks {
  /** Decodes and expands an archive; with `isCut`, the beginning of one. */
  expand: { takes: { data: Uint8Array; isCut: boolean }; gives: Expanded };
  /** The SHA-256 of a file. */
  hash: { takes: { file: Uint8Array }; gives: string };
  /** Makes a network ready to run, in the place of the one before. */
  load: {
    takes: { file: Uint8Array; variant: Variant; accelerator: Accelerator; threads: number };
    gives: Loaded;
  };
  /** Runs the network. */
  run: {
    takes: { inputs: readonly Float32Array[] };
    gives: { outputs: readonly Float32Array[]; milliseconds: number };
  };
  /** Times inferences. */
  time: {
    takes: { inputs: readonly Float32Array[]; warmup: number; runs: number };
    gives: Timed;
  };
}

export interface Request {
  readonly id: number;
  readonly task: keyof Tasks;
  readonly takes: Tasks[keyof Tasks]["takes"];
}

export interface Reply {
  readonly id: number;
  readonly gives?: Tasks[keyof Tasks]["gives"];
  /** Why there is nothing else. */
  readonly problem?: string;
}
