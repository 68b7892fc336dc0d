/** An array of doubles, the last axis fastest. Nobody writes into one that was given on. */
export interface NdArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** How many numbers an array of a shape has. */
export function count(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** How far apart in the data neighbours along each axis are. */
export function strides(shape: readonly number[]): number[] {
  const found = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    found[axis] = stride;
    stride *= shape[axis];
  }
  return found;
}

/**
 * Calls `row` for each run along the last axis of an array of `shape`, with the places in two
 * others, whose strides along the same axes are given, at which it begins.
 */
export function forEachRow(
  shape: readonly number[],
  aStrides: readonly number[],
  bStrides: readonly number[],
  row: (start: number, a: number, b: number) => void,
): void {
  const size = count(shape);
  const length = shape.at(-1) ?? 1;
  const index = new Int32Array(shape.length);
  let a = 0;
  let b = 0;
  for (let start = 0; start < size; start += length) {
    row(start, a, b);
    for (let axis = shape.length - 2; axis >= 0; axis--) {
      a += aStrides[axis];
      b += bStrides[axis];
      if (++index[axis] < shape[axis]) break;
      a -= aStrides[axis] * shape[axis];
      b -= bStrides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}
