import { Cosines } from "./cosines.js";

export const LOWEST_STEP = -512;
export const HIGHEST_STEP = 511;
const STEPS_AN_OCTAVE = 8;
const SMALLEST_OCTAVE = 15;
const MANTISSAS = [32768, 35734, 38968, 42495, 46341, 50535, 55109, 60097];

/**
 * Whole numbers and the step that they count: the coefficients of a tensor in zigzag order, the
 * first DCT-II coefficients of a vector, or the numbers of a kernel.
 */
export class Quantized {
  /**
   * @param values The whole numbers.
   * @param step The number of the step, from -512 to 511; eight make a factor of two.
   */
  constructor(
    readonly values: Int32Array,
    readonly step: number,
  ) {}

  /** The step itself; whole numbers times it are exact in double precision. */
  get stepSize(): number {
    const octave = Math.floor(this.step / STEPS_AN_OCTAVE);
    const mantissa = MANTISSAS[this.step - STEPS_AN_OCTAVE * octave];
    return mantissa * powerOfTwo(octave - SMALLEST_OCTAVE);
  }

  /** Returns the real numbers, rounded once. */
  reals(): Float32Array {
    const step = this.stepSize;
    return Float32Array.from(this.values, (value) => value * step);
  }

  /**
   * Returns the vector of `length` numbers of which these are the first DCT-II coefficients.
   *
   * @throws RangeError If there are more coefficients than numbers.
   */
  rebuild(length: number): Float32Array {
    const { values, stepSize } = this;
    if (!(Number.isSafeInteger(length) && length >= Math.max(1, values.length))) {
      throw new RangeError(
        `\`length\` must be at least 1 and at least the ${values.length} coefficients. ` +
          `Received: ${length}`,
      );
    }
    const cosines = new Cosines(length);
    const row = new Float64Array(length);
    const total = new Float64Array(length);
    for (let u = 0; u < values.length; u++) {
      cosines.row(u, 0, row);
      const coefficient = values[u] * stepSize;
      for (let i = 0; i < length; i++) total[i] += coefficient * row[i];
    }
    return Float32Array.from(total);
  }
}

/** Exact, where `**` may differ in its last bit. */
function powerOfTwo(exponent: number): number {
  let power = 1;
  for (let done = 0; done < Math.abs(exponent); done++) power *= exponent < 0 ? 0.5 : 2;
  return power;
}
