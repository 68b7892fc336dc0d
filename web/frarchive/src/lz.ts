import { Numbers } from "./integers.js";
import { Chances, type RangeDecoder } from "./rangedecoder.js";

const SHORTEST = 3;
const DISTANCES = 3 << 14;

/** How much each of the three contexts of a byte says: nothing, the byte before, four back. */
const TRUST_BEFORE = 3;
const TRUST_BELOW = 6;

/**
 * Reads a compressed text.
 *
 * @param decoder At the beginning of the compressed bytes.
 * @param most Refuses a longer text, before it takes memory.
 * @param dictionary What the window begins with, at least one byte.
 */
export function decompress(
  decoder: RangeDecoder,
  most: number,
  dictionary: Uint8Array,
): Uint8Array {
  const size = new Numbers(DISTANCES).magnitude(decoder);
  if (size > most) {
    throw decoder.refused(`At most ${most} bytes may be packed here, not ${size}`);
  }
  const window = new Uint8Array(dictionary.length + size);
  window.set(dictionary);
  const tokens = new Tokens(decoder, window);
  let place = dictionary.length;
  while (place < window.length) place += tokens.read(place);
  decoder.finish();
  return window.subarray(dictionary.length);
}

/** Tokens: a literal byte, or a match, so many bytes again from so far back. */
class Tokens {
  private readonly isMatch = new Chances(4);
  private readonly again = new Chances(1);
  private readonly bytes = new Chances(1 << 8);
  private readonly bytesAfter = new Chances(1 << 16);
  private readonly bytesBelow = new Chances(1 << 18);
  private readonly lengths = [new Numbers(), new Numbers()];
  private readonly distances = new Numbers(DISTANCES);
  private kinds = 0;
  private distance = 1;

  constructor(
    private readonly decoder: RangeDecoder,
    private readonly window: Uint8Array,
  ) {}

  /** Writes the bytes of the next token at `place` of the window, and returns how many. */
  read(place: number): number {
    const match = this.decoder.learned(this.isMatch, this.kinds);
    this.kinds = ((this.kinds << 1) | match) & 3;
    if (match === 1) return this.match(place);
    this.window[place] = this.literal(place);
    return 1;
  }

  private match(place: number): number {
    const { decoder, window } = this;
    const again = decoder.learned(this.again, 0);
    if (again === 0) this.distance = 1 + this.distances.magnitude(decoder);
    const length = SHORTEST + this.lengths[again].magnitude(decoder);
    if (this.distance > place || length > window.length - place) {
      throw decoder.refused(
        `A match of ${length} bytes from ${this.distance} back lies outside of the window`,
      );
    }
    // A match may overlap what it writes: then it repeats.
    for (let at = place; at < place + length; at++) window[at] = window[at - this.distance];
    return length;
  }

  private literal(place: number): number {
    const { decoder, window } = this;
    const before = window[place - 1] << 8;
    const below = ((place & 3) << 16) | (place > 3 ? window[place - 4] << 8 : 0);
    let node = 1;
    while (node < 256) {
      const bit = decoder.bit(this.mean(node, before | node, below | node));
      this.bytes.learn(node, bit);
      this.bytesAfter.learn(before | node, bit);
      this.bytesBelow.learn(below | node, bit);
      node = (node << 1) | bit;
    }
    return node - 256;
  }

  /** The mean of three chances, weighted by what each has learned. */
  private mean(alone: number, after: number, below: number): number {
    const { bytes, bytesAfter, bytesBelow } = this;
    const a = bytes.seen(alone) + 1;
    const b = (bytesAfter.seen(after) + 1) * TRUST_BEFORE;
    const c = (bytesBelow.seen(below) + 1) * TRUST_BELOW;
    const sum = a * bytes.one(alone) + b * bytesAfter.one(after) + c * bytesBelow.one(below);
    return Math.floor(sum / (a + b + c));
  }
}
