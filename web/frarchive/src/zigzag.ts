import { count, strides } from "./arrays.js";

/**
 * Returns the flat places of a corner in zigzag order: by ascending sum of the indices, each times
 * the weight of its axis; ties by the last axis, the second-last, then the others in order.
 */
export function zigzag(corner: readonly number[], weights: readonly number[]): Int32Array {
  const [places, sums] = inTieOrder(corner, weights);
  const sorted = sums.slice().sort();
  // How many places of the same sum, which begins there in `sorted`, have come.
  const before = new Int32Array(sums.length);
  const order = new Int32Array(sums.length);
  for (let number = 0; number < sums.length; number++) {
    const first = lowerBound(sorted, sums[number]);
    order[first + before[first]++] = places[number];
  }
  return order;
}

/** The places in the order of the tie rule, and the sum of each, which is below 2^44. */
function inTieOrder(
  corner: readonly number[],
  weights: readonly number[],
): [Int32Array, Float64Array] {
  const size = count(corner);
  const steps = strides(corner);
  const fastestFirst = significant(corner.length).reverse();
  const index = new Int32Array(corner.length);
  const places = new Int32Array(size);
  const sums = new Float64Array(size);
  let place = 0;
  let sum = 0;
  for (let number = 0; number < size; number++) {
    places[number] = place;
    sums[number] = sum;
    for (const axis of fastestFirst) {
      place += steps[axis];
      sum += weights[axis];
      if (++index[axis] < corner[axis]) break;
      place -= steps[axis] * corner[axis];
      sum -= weights[axis] * corner[axis];
      index[axis] = 0;
    }
  }
  return [places, sums];
}

/** The axes from the most to the least significant one of the tie rule. */
function significant(rank: number): number[] {
  const last = [rank - 1, rank - 2].filter((axis) => axis >= 0);
  return [...last, ...Array.from({ length: Math.max(0, rank - 2) }, (_, axis) => axis)];
}

/** The first place of a number in a sorted array that has it. */
function lowerBound(sorted: Float64Array, number: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < number) low = middle + 1;
    else high = middle;
  }
  return low;
}
