import type { Section } from "./container.js";
import { Coefficients, Numbers, Scale } from "./integers.js";
import { HIGHEST_STEP, LOWEST_STEP, Quantized } from "./quantized.js";
import { ArchiveError } from "./errors.js";
import { type RangeDecoder, Undecided } from "./rangedecoder.js";
import { interleaved, oneByOne } from "./order.js";

const MOST_NUMBERS = 2 ** 22;
const FREE_NUMBERS = 2 ** 16;
const MOST_NUMBERS_A_BYTE = 2 ** 6;

/** How many tensors, vectors or kernels a section has at most. */
export const MOST_SERIES = 2 ** 12;

/** The chance that the exponent of a length goes on: lengths repeat, or differ by much. */
export const LENGTHS = 3 << 14;

/** Reads the coefficients of the tensors; of a section that is cut, those that are there. */
export function readTensors(section: Section): Quantized[] {
  return readSeries(section, interleaved);
}

/** Reads the vectors. */
export function readVectors(section: Section): Quantized[] {
  const vectors = readSeries(section, oneByOne);
  if (vectors.length > 0) return vectors;
  throw new ArchiveError("A section of vectors holds one or more", section.start);
}

/** How many numbers, `limit` at most, a payload of `size` bytes may hold. */
export function mostNumbers(limit: number, size: number): number {
  return Math.min(limit, FREE_NUMBERS + MOST_NUMBERS_A_BYTE * size);
}

function readSeries(
  section: Section,
  order: (counts: Int32Array) => Iterable<number>,
): Quantized[] {
  const decoder = section.decoder();
  const [counts, steps] = readTable(decoder, section.size);
  const states = Array.from(counts, (count) => new Scale(count));
  const values = Array.from(counts, (count) => new Int32Array(count));
  const coefficients = new Coefficients();
  const isWhole = decided(() => {
    for (const one of order(counts)) {
      const place = states[one].count;
      values[one][place] = coefficients.read(decoder, states[one]);
    }
  });
  if (isWhole && !decoder.cut) decoder.finish();
  return values.map((found, one) => {
    return new Quantized(found.subarray(0, states[one].count), steps[one]);
  });
}

/** Runs `read`, and returns whether the bytes that are there decided all of it. */
function decided(read: () => void): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof Undecided) return false;
    throw error;
  }
}

function readTable(decoder: RangeDecoder, size: number): [Int32Array, Int32Array] {
  let table: [Int32Array, Int32Array] | undefined;
  decided(() => (table = readRows(decoder, size)));
  if (table) return table;
  throw decoder.refused("The file is cut before the first number");
}

/** The counts and the steps of a section of so many bytes. */
function readRows(decoder: RangeDecoder, size: number): [Int32Array, Int32Array] {
  const number = new Numbers().magnitude(decoder);
  if (number > MOST_SERIES) {
    throw decoder.refused(`A section has at most ${MOST_SERIES} tensors or vectors, not ${number}`);
  }
  const most = mostNumbers(MOST_NUMBERS, size);
  const counts = new Int32Array(number);
  const steps = new Int32Array(number);
  const countNumbers = new Numbers(LENGTHS);
  const stepNumbers = new Numbers();
  let [count, step, total] = [0, 0, 0];
  for (let one = 0; one < number; one++) {
    count += countNumbers.signed(decoder);
    step += stepNumbers.signed(decoder);
    total += count;
    if (count < 0 || step < LOWEST_STEP || step > HIGHEST_STEP) {
      throw decoder.refused(`A series has no count of ${count} or no step ${step}`);
    }
    if (total > most) {
      throw decoder.refused(`${size} bytes hold at most ${most} numbers, not ${total}`);
    }
    counts[one] = count;
    steps[one] = step;
  }
  return [counts, steps];
}
