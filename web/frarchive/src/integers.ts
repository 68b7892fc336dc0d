import { Chances, HALF, type RangeDecoder } from "./rangedecoder.js";

const MOST_DIGITS = 30;
const MODELLED_DIGITS = 2;
const DIGIT = 27500;
const PRIOR_WEIGHT = 4;
const LEAST_PRIOR = 4096;
const UNKNOWN_SCALE = 4;
const WORD_BITS = 32;
const ZONES = 4;
const LAST_FEW = 8;
const NOT_ZERO = [9039, 21254, 31638, 42672, 51686, 57792, 61353, 63549];

/** The binary digits of `m + 1` behind its leading 1, for a magnitude `m`; the first ones learn. */
class Digits {
  // A table of the pairs (exponent, digits so far), of which the latter are 1, 2 or 3.
  private readonly chances = new Chances((MOST_DIGITS + 1) * 4, DIGIT, PRIOR_WEIGHT);

  read(decoder: RangeDecoder, exponent: number): number {
    let value = 1;
    for (let number = 0; number < exponent; number++) {
      const bit =
        number < MODELLED_DIGITS
          ? decoder.learned(this.chances, 4 * exponent + value)
          : decoder.bit(HALF);
      value = (value << 1) | bit;
    }
    return value - 1;
  }
}

/** Reads 32 bits, all as good as random, the highest first. */
export function word(decoder: RangeDecoder): number {
  let bits = 0;
  for (let bit = 0; bit < WORD_BITS; bit++) bits = (bits << 1) | decoder.bit(HALF);
  return bits >>> 0;
}

/** Whole numbers of one kind that say how the rest is laid out: counts, steps, lengths. */
export class Numbers {
  private readonly goesOn: Chances;
  private readonly negative = new Chances(1);
  private readonly digits = new Digits();

  constructor(one = HALF) {
    this.goesOn = new Chances(MOST_DIGITS, one, 1);
  }

  /** Reads a number from 0 to `2^31 - 2`. */
  magnitude(decoder: RangeDecoder): number {
    let exponent = 0;
    while (exponent < MOST_DIGITS && decoder.learned(this.goesOn, exponent) === 1) exponent++;
    return this.digits.read(decoder, exponent);
  }

  signed(decoder: RangeDecoder): number {
    const magnitude = this.magnitude(decoder);
    return magnitude !== 0 && decoder.learned(this.negative, 0) === 1 ? -magnitude : magnitude;
  }
}

/** The mean magnitude of the last few numbers of one series of a length, in 1/256. */
export class Scale {
  count = 0;
  private mean = 0;

  constructor(private readonly length: number) {}

  /** Class of the mean, and of an unknown one. */
  scale(): number {
    return this.count === 0 ? UNKNOWN_SCALE : classOf(this.mean);
  }

  /** Class of the place: the first two, the first tenth, the first third, and the others. */
  zone(): number {
    if (this.count < 2) return 0;
    if (10 * this.count < this.length) return 1;
    return 3 * this.count < this.length ? 2 : 3;
  }

  add(magnitude: number): void {
    this.mean = moved(this.mean, magnitude, Math.min(this.count, LAST_FEW));
    this.count++;
  }
}

/** The class of a mean in 1/256: below 1/4, 1/2, 1, 2, 4, 8, 16, and above. */
export function classOf(mean: number): number {
  return mean >= 4096 ? 7 : 32 - Math.clz32(mean >> 6);
}

/** A mean in 1/256 after the next magnitude, beside which it weighs as much as `count` others. */
export function moved(mean: number, magnitude: number, count: number): number {
  // Below 2^40: a quotient that is not whole is further from the next whole number than it rounds.
  return mean + Math.floor((magnitude * 256 - mean) / (count + 1));
}

/** Magnitudes whose exponent is predicted twice; the decoder takes the mean of both. */
export class Magnitudes {
  private readonly digits = new Digits();

  read(decoder: RangeDecoder, first: Chances, second: Chances): number {
    let exponent = 0;
    while (exponent < MOST_DIGITS) {
      const bit = decoder.bit((first.one(exponent) + second.one(exponent)) >> 1);
      first.learn(exponent, bit);
      second.learn(exponent, bit);
      if (bit === 0) break;
      exponent++;
    }
    return this.digits.read(decoder, exponent);
  }
}

/** For each class of a mean, the chances that the exponent goes on. */
export function exponentsByClass(): Chances[] {
  return NOT_ZERO.map((notZero) => exponents(notZero, PRIOR_WEIGHT));
}

/** In a geometric distribution the chances that the exponent goes on are squares. */
function exponents(notZero: number, seen: number): Chances {
  const chances = new Chances(MOST_DIGITS);
  let one = notZero;
  for (let exponent = 0; exponent < MOST_DIGITS; exponent++) {
    chances.set(exponent, one, seen);
    one = Math.max(Math.floor((one * one) / 65536), LEAST_PRIOR);
  }
  return chances;
}

/** Quantized numbers whose scale changes slowly along each series. */
export class Coefficients {
  private readonly byScale = exponentsByClass();
  private readonly byZone = Array.from({ length: ZONES }, () =>
    exponents(NOT_ZERO[UNKNOWN_SCALE], 0),
  );
  private readonly magnitudes = new Magnitudes();
  private readonly firstNegative = new Chances(1);

  /** Reads the next number of a series. */
  read(decoder: RangeDecoder, series: Scale): number {
    const scale = this.byScale[series.scale()];
    const magnitude = this.magnitudes.read(decoder, scale, this.byZone[series.zone()]);
    const isNegative = magnitude !== 0 && this.negative(decoder, series) === 1;
    series.add(magnitude);
    return isNegative ? -magnitude : magnitude;
  }

  private negative(decoder: RangeDecoder, series: Scale): number {
    return series.count === 0 ? decoder.learned(this.firstNegative, 0) : decoder.bit(HALF);
  }
}
