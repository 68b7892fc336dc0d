import { count, type NdArray } from "./arrays.js";
import { ArchiveError } from "./errors.js";
import type { Part } from "./program.js";

const MOST = 127;
const BIAS_ROOM = 1073741824; // 2^30
const SMALLEST = 1 / 65536;
const NOTHING = 1 / 128;
/** Added and taken away, it rounds doubles below 2^51 to whole numbers, ties to even. */
const ROUNDER = 6755399441055744; // 3 * 2^51

/** The bytes of a part of a site, whole words. */
export function partBytes(part: Part, kernel: readonly number[], byChannel: boolean): number {
  if (part === "kernel") return Math.ceil(count(kernel) / 4) * 4;
  return part === "bias" || byChannel ? 4 * kernel[0] : 4;
}

/** The constants of an op in whole numbers: an int8 kernel, an int32 bias, and their scales. */
export class Filling {
  private readonly channels: number;
  private readonly width: number;
  private readonly scales: Float32Array;
  private readonly biasScales: Float32Array;

  /**
   * @param kernel Real numbers `(out, ...)`.
   * @param bias Real numbers `(out)`, or `undefined` for zeros.
   * @param input The scale of the op's input.
   * @param byChannel Whether each output channel has a scale of its own.
   */
  constructor(
    private readonly kernel: NdArray,
    private readonly bias: NdArray | undefined,
    private readonly input: number,
    private readonly byChannel: boolean,
  ) {
    this.channels = kernel.shape[0];
    this.width = kernel.data.length / this.channels;
    this.scales = this.found();
    this.biasScales = this.scales.map((scale) => input * scale);
    if (![this.scales, this.biasScales].every((some) => some.every(isScale))) {
      throw new ArchiveError("A scale is beyond what float32 holds");
    }
  }

  /** The bytes that fill a gap, little-endian, and zeros up to a whole word. */
  data(part: Part): Uint8Array {
    const bytes = new Uint8Array(partBytes(part, this.kernel.shape, this.byChannel));
    const view = new DataView(bytes.buffer);
    switch (part) {
      case "kernel":
        this.quantize(new Int8Array(bytes.buffer));
        break;
      case "scales":
        this.scales.forEach((scale, at) => view.setFloat32(4 * at, scale, true));
        break;
      case "bias":
        for (let at = 0; at < this.channels; at++) {
          view.setInt32(4 * at, rounded(this.biasOf(at) / (this.input * this.scaleOf(at))), true);
        }
        break;
      case "biasScales":
        this.biasScales.forEach((scale, at) => view.setFloat32(4 * at, scale, true));
    }
    return bytes;
  }

  private quantize(out: Int8Array): void {
    const { data } = this.kernel;
    for (let channel = 0, place = 0; channel < this.channels; channel++) {
      const scale = this.scaleOf(channel);
      for (let end = place + this.width; place < end; place++) {
        out[place] = Math.max(-MOST, Math.min(MOST, rounded(data[place] / scale)));
      }
    }
  }

  private scaleOf(channel: number): number {
    return this.scales[this.byChannel ? channel : 0];
  }

  private biasOf(channel: number): number {
    return this.bias === undefined ? 0 : this.bias.data[channel];
  }

  private found(): Float32Array {
    const isFinite = [this.kernel, this.bias].every(
      (one) => !one || one.data.every(Number.isFinite),
    );
    if (!isFinite) throw new ArchiveError("A kernel and its bias must be finite");
    const largest = Float64Array.from({ length: this.channels }, (_, at) => this.largest(at));
    const least = (largestOf(largest) / MOST) * SMALLEST;
    const exact = largest.map((one, channel) => {
      const room = Math.abs(this.biasOf(channel)) / (this.input * BIAS_ROOM);
      return Math.max(one / MOST, room, least) || NOTHING;
    });
    return Float32Array.from(this.byChannel ? exact : [largestOf(exact)]);
  }

  private largest(channel: number): number {
    const from = channel * this.width;
    return largestOf(this.kernel.data.subarray(from, from + this.width));
  }
}

/** The largest magnitude. */
function largestOf(numbers: Float64Array): number {
  let largest = 0;
  for (const number of numbers) largest = Math.max(largest, Math.abs(number));
  return largest;
}

function isScale(number: number): boolean {
  return number > 0 && number < Infinity;
}

function rounded(real: number): number {
  return real + ROUNDER - ROUNDER;
}
