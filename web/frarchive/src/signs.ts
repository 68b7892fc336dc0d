import { word } from "./integers.js";
import type { Kernel } from "./kernels.js";
import { philox } from "./philox.js";
import type { RangeDecoder } from "./rangedecoder.js";

const WORD_BITS = 64;
const HALF_BITS = 32;

/** A kernel whose numbers are the scale or its negative, by the bits that follow from a seed. */
export class Signs implements Kernel {
  /**
   * @param seed A number of 64 bits.
   * @param scale The magnitude of the numbers.
   */
  constructor(
    readonly seed: bigint,
    readonly scale: number,
    readonly size: number,
    readonly columns: number,
  ) {}

  reals(): Float32Array {
    const out = new Float32Array(this.size);
    philox(this.seed, Math.ceil(this.size / WORD_BITS)).forEach((word, at) => {
      this.fill(out, WORD_BITS * at, Number(BigInt.asUintN(HALF_BITS, word)));
      this.fill(out, WORD_BITS * at + HALF_BITS, Number(word >> 32n));
    });
    return out;
  }

  private fill(out: Float32Array, start: number, bits: number): void {
    const end = Math.min(out.length, start + HALF_BITS);
    for (let at = start; at < end; at++) {
      out[at] = (bits >>> (at - start)) & 1 ? this.scale : -this.scale;
    }
  }
}

/** Reads a seed and a scale. */
export function readSigns(decoder: RangeDecoder, rows: number, columns: number): Signs {
  const upper = BigInt(word(decoder));
  const seed = (upper << 32n) | BigInt(word(decoder));
  const [scale] = new Float32Array(Uint32Array.of(word(decoder)).buffer);
  if (scale > 0 && scale < Infinity) return new Signs(seed, scale, rows * columns, columns);
  throw decoder.refused(`The scale of signs is a finite number above 0, not ${scale}`);
}
