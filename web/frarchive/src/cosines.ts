const PI = 3.141592653589793;
const COSINE_TERMS = 9;
const SINE_TERMS = 8;

/**
 * The orthonormal DCT-II matrix of a size, the same bits in every language. No cosine of a library
 * is taken, for its last bit differs.
 */
export class Cosines {
  /** `cos(pi k / (2 length))` for `k` from 0 to `length`. */
  private readonly quarter: Float64Array;

  constructor(private readonly length: number) {
    this.quarter = new Float64Array(length + 1);
    for (let k = 0; k <= length; k++) this.quarter[k] = quarter(k, length);
  }

  /** Writes the numbers of a row from column `from` on into `out`. */
  row(u: number, from: number, out: Float64Array): void {
    const { length, quarter } = this;
    const scale = Math.sqrt((u === 0 ? 1 : 2) / length);
    const period = 4 * length;
    let place = ((2 * from + 1) * u) % period;
    for (let i = 0; i < out.length; i++) {
      const r = 2 * place > period ? period - place : place;
      out[i] = scale * (r <= length ? quarter[r] : -quarter[2 * length - r]);
      place += 2 * u;
      if (place >= period) place -= period;
    }
  }
}

function quarter(k: number, length: number): number {
  // Above pi / 4 it is the sine of what is missing to pi / 2.
  const isUpper = 2 * k > length;
  const x = (PI * (isUpper ? length - k : k)) / (2 * length);
  const square = x * x;
  let c = 1;
  if (!isUpper) {
    for (let i = COSINE_TERMS; i >= 1; i--) c = 1 - (square / (2 * i * (2 * i - 1))) * c;
    return c;
  }
  for (let i = SINE_TERMS; i >= 1; i--) c = 1 - (square / (2 * i * (2 * i + 1))) * c;
  return x * c;
}
