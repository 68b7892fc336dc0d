import type { Kernel } from "./kernels.js";
import type { Quantized } from "./quantized.js";

/** The numbers of an archive, as recipes take them. */
export interface Source {
  /** The kept coefficients of each tensor, in zigzag order. */
  readonly tensors: readonly Quantized[];
  /** The first DCT-II coefficients of each vector. */
  readonly vectors: readonly Quantized[];
  /** The kernels that lie in space. */
  readonly kernels: readonly Kernel[];
}
