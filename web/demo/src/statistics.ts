/** Times and agreements, as in the results of `fr-keras benchmark`. */
import { classesOf } from "./pictures.js";

/** Of one inference, in microseconds. */
export interface Times {
  readonly runs: number;
  readonly init_us: number;
  readonly first_us: number;
  readonly mean_us: number;
  readonly median_us: number;
  readonly p5_us: number;
  readonly p95_us: number;
}

/** Outputs against those of LiteRT on a computer, on the same rows. */
export interface Agreement {
  readonly rows: number;
  readonly largest: number;
  readonly relative: number;
  readonly argmax?: number;
}

/** The percentile of numbers, between two of them on the line through both, as numpy's is. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** Of milliseconds. */
export function times(init: number, first: number, timed: readonly number[]): Times {
  const mean = timed.reduce((sum, one) => sum + one, 0) / timed.length;
  return {
    runs: timed.length,
    init_us: 1000 * init,
    first_us: 1000 * first,
    mean_us: 1000 * mean,
    median_us: 1000 * percentile(timed, 50),
    p5_us: 1000 * percentile(timed, 5),
    p95_us: 1000 * percentile(timed, 95),
  };
}

/**
 * Of outputs, a row each.
 *
 * @param shape The shape of the output with its rows.
 */
export function agreement(
  found: readonly Float32Array[],
  expected: readonly Float32Array[],
  shape: readonly number[],
): Agreement {
  let [largest, least, most] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  found.forEach((row, at) => {
    row.forEach((one, place) => {
      const number = expected[at][place];
      const difference = Math.abs(one - number);
      // A NaN must not pass for agreement.
      largest = Math.max(largest, Number.isNaN(difference) ? Number.MAX_VALUE : difference);
      least = Math.min(least, number);
      most = Math.max(most, number);
    });
  });
  const relative = largest / (most > least ? most - least : 1);
  const classes = shape.at(-1) ?? 1;
  if (shape.length < 2 || classes < 2) return { rows: found.length, largest, relative };
  const shares = found.map((row, at) => sameClasses(row, expected[at], classes));
  const argmax = shares.reduce((sum, one) => sum + one, 0) / shares.length;
  return { rows: found.length, largest, relative, argmax };
}

function sameClasses(found: Float32Array, expected: Float32Array, classes: number): number {
  const [one, other] = [classesOf(found, classes), classesOf(expected, classes)];
  return one.filter((best, at) => best === other[at]).length / one.length;
}
