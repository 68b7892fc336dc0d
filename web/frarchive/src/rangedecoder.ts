import { ArchiveError } from "./errors.js";

/** A probability of one half, in 1/65536. */
export const HALF = 1 << 15;

const FULL = 2 ** 32;
const LEAST = 2 ** 24;
const FLOOR = 1 << 10;
const CEILING = (1 << 16) - FLOOR;
const MOST_SEEN = 64;
const SEEN_BITS = 7;
const SEEN_MASK = (1 << SEEN_BITS) - 1;

const RATES = Int32Array.from({ length: MOST_SEEN + 1 }, (_, seen) => 131072 / (2 * seen + 3));

/** Probabilities that the next bit is 1, in 1/65536, each with how many bits it has learned. */
export class Chances {
  // Both in one number: there are a quarter of a million of them beside each text.
  private readonly states: Int32Array;

  constructor(size: number, one = HALF, seen = 0) {
    this.states = new Int32Array(size).fill((one << SEEN_BITS) | seen);
  }

  one(index: number): number {
    return this.states[index] >> SEEN_BITS;
  }

  seen(index: number): number {
    return this.states[index] & SEEN_MASK;
  }

  learn(index: number, bit: number): void {
    const one = this.one(index);
    const seen = this.seen(index);
    // The product has up to 33 bits.
    const change = Math.floor((((bit << 16) - one) * RATES[seen]) / 65536);
    this.states[index] = ((one + change) << SEEN_BITS) | (seen < MOST_SEEN ? seen + 1 : seen);
  }

  set(index: number, one: number, seen: number): void {
    this.states[index] = (one << SEEN_BITS) | seen;
  }
}

/** Thrown where the bytes of a cut stream do not decide the next bit. */
export class Undecided extends Error {}

/** Reads the bits of one stream of the range coder. Its numbers are doubles below 2^53. */
export class RangeDecoder {
  private range = FULL;
  private code = 0;
  // The stream, relative to the lower end of the interval, lies in code ... code + slack.
  private slack = 0;
  private read = 0;

  /**
   * @param payload The stream.
   * @param start The byte of the file at which it begins, for messages.
   * @param cut Whether the bytes behind it are unknown, instead of 0.
   */
  constructor(
    private readonly payload: Uint8Array,
    private readonly start = 0,
    readonly cut = false,
  ) {
    for (let byte = 0; byte < 4; byte++) this.readByte();
  }

  /** The byte of the file that is read next. */
  get position(): number {
    return this.start + Math.min(this.read, this.payload.length);
  }

  /** Returns the next bit, which is 1 with probability `one` / 65536. */
  bit(one: number): number {
    const limited = one < FLOOR ? FLOOR : one > CEILING ? CEILING : one;
    const bound = Math.floor(this.range / 65536) * limited;
    let result = 0;
    if (this.code >= bound) {
      this.code -= bound;
      this.range -= bound;
    } else if (this.code + this.slack < bound) {
      this.range = bound;
      result = 1;
    } else {
      throw new Undecided();
    }
    while (this.range < LEAST) {
      this.range *= 256;
      this.readByte();
    }
    return result;
  }

  /** Returns the next bit, and has its chance learn it. */
  learned(chances: Chances, index: number): number {
    const bit = this.bit(chances.one(index));
    chances.learn(index, bit);
    return bit;
  }

  /** Checks that the stream is exactly what a writer writes for the bits that were read. */
  finish(): void {
    const written = this.read - 4;
    const size = this.payload.length;
    if (size === written) return;
    if (size !== written + 1) {
      throw this.refused(`The coded stream must end here, not at byte ${this.start + size}`);
    }
    const low = (this.payload[written] * LEAST - this.code + FULL) % FULL;
    if (low === 0 || low + this.range > FULL || this.code >= LEAST) {
      throw this.refused("The last byte of the coded stream is not the canonical one");
    }
  }

  /** An error at the place that was reached. */
  refused(message: string): ArchiveError {
    return new ArchiveError(message, this.position);
  }

  private readByte(): void {
    const inside = this.read < this.payload.length;
    this.code = this.code * 256 + (inside ? this.payload[this.read] : 0);
    this.slack = this.slack * 256 + (this.cut && !inside ? 255 : 0);
    this.read++;
    if (!this.cut && this.read > this.payload.length + 4) {
      throw this.refused("The coded stream ends too early");
    }
  }
}
