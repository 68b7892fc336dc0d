/** Reads `.fr` archives, networks in kilobytes, and expands them to `.tflite` files. */
export type { Architecture } from "./architecture.js";
export { type Archive, decode, decodePrefix, expand, MOST_MEMORY } from "./archive.js";
export { ArchiveError } from "./errors.js";
export { Codebook } from "./codebooks.js";
export { type Kernel, QuantizedKernel } from "./kernels.js";
export { Quantized } from "./quantized.js";
export { Signs } from "./signs.js";
