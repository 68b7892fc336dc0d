import type { Kernel } from "./kernels.js";
import { word } from "./integers.js";
import { Chances, type RangeDecoder } from "./rangedecoder.js";

/** The most levels of a codebook. */
export const MOST_LEVELS = 16;

const FLOAT_BITS = 32;
/** The prediction from the whole kernel counts as much as one that has learned 15 bits. */
const OF_KERNEL = 16;

/** A kernel whose numbers are some of at most 16 levels. */
export class Codebook implements Kernel {
  /**
   * @param places For each number the place of its level, laid out with the last axis fastest.
   * @param levels The levels, in ascending order.
   */
  constructor(
    readonly places: Uint8Array,
    readonly levels: Float32Array,
    readonly columns: number,
  ) {}

  get size(): number {
    return this.places.length;
  }

  reals(): Float32Array {
    return Float32Array.from(this.places, (place) => this.levels[place]);
  }
}

/** Reads codebooks. They share the chance that levels are mirrored, and nothing else. */
export class Codebooks {
  private readonly mirrored = new Chances(1);

  /** Reads a codebook of so many levels. */
  read(decoder: RangeDecoder, count: number, rows: number, columns: number): Codebook {
    const levels = this.levels(decoder, count);
    const places = new Uint8Array(rows * columns);
    if (count > 1) new Places(levels, rows, columns).read(decoder, places);
    return new Codebook(places, levels, columns);
  }

  /** Of levels that are mirrored at 0, only the upper ones are there. */
  private levels(decoder: RangeDecoder, count: number): Float32Array {
    const isMirrored = decoder.learned(this.mirrored, 0) === 1;
    const bits = new Uint32Array(count);
    const levels = new Float32Array(bits.buffer);
    const lower = Math.floor(count / 2);
    for (let place = isMirrored ? count - lower : 0; place < count; place++) {
      bits[place] = word(decoder);
    }
    if (isMirrored)
      for (let place = 0; place < lower; place++) levels[place] = -levels[count - 1 - place];
    const isCanonical = isMirrored === levels.every((one, at) => one === -levels[count - 1 - at]);
    if (isCanonical && levels.every((one, at) => isLevel(one) && !(one <= levels[at - 1]))) {
      return levels;
    }
    throw decoder.refused("Levels are finite and ascend, and are mirrored where they can be");
  }
}

function isLevel(number: number): boolean {
  return Number.isFinite(number) && !Object.is(number, -0);
}

/** Reads the places of the levels of one kernel, row by row. */
class Places {
  private readonly count: number;
  /** The place of the level of least magnitude. */
  private readonly base: number;
  /** How many binary digits a place among the other levels has. */
  private readonly digits: number;
  private readonly columnsThatLearn: number;
  /** For each decision; first those of the whole kernel. */
  private readonly chances: Chances;

  constructor(levels: Float32Array, rows: number, columns: number) {
    this.count = levels.length;
    const magnitudes = levels.map(Math.abs);
    this.base = magnitudes.indexOf(Math.min(...magnitudes));
    this.digits = FLOAT_BITS - Math.clz32(this.count - 2);
    // A column with fewer numbers than levels would learn nothing.
    this.columnsThatLearn = rows < this.count ? 1 : columns;
    this.chances = new Chances((1 + this.columnsThatLearn) << this.digits);
  }

  read(decoder: RangeDecoder, out: Uint8Array): void {
    let column = 0;
    for (let index = 0; index < out.length; index++) {
      out[index] = this.place(decoder, (1 + column) << this.digits);
      if (++column === this.columnsThatLearn) column = 0;
    }
  }

  private place(decoder: RangeDecoder, ofColumn: number): number {
    if (this.decision(decoder, ofColumn, 0) === 0) return this.base;
    const most = this.count - 2 + (1 << this.digits);
    let node = 1;
    for (let rest = this.digits - 1; rest >= 0; rest--) {
      // A digit 1 may lead beyond the last level.
      const isPossible = (2 * node + 1) << rest <= most;
      node = 2 * node + (isPossible ? this.decision(decoder, ofColumn, node) : 0);
    }
    const other = node - (1 << this.digits);
    return other < this.base ? other : other + 1;
  }

  /** The column counts the more, the more it has learned. */
  private decision(decoder: RangeDecoder, ofColumn: number, node: number): number {
    const { chances } = this;
    const other = ofColumn + node;
    const weight = chances.seen(other) + 1;
    const sum = OF_KERNEL * chances.one(node) + weight * chances.one(other);
    const bit = decoder.bit(Math.floor(sum / (OF_KERNEL + weight)));
    chances.learn(node, bit);
    chances.learn(other, bit);
    return bit;
  }
}
