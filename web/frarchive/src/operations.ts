import { count, forEachRow, type NdArray, strides } from "./arrays.js";
import { ArchiveError } from "./errors.js";

type Shape = readonly number[];

/** Sums `a[.., u, ..] * matrix[u, x]` over `u`, ascending, from 0.0; `x` takes the place of `u`. */
export function contract(a: NdArray, matrix: NdArray, axis: number, shape: Shape): NdArray {
  const [terms, length] = matrix.shape;
  const outer = count(shape.slice(0, axis));
  const inner = count(shape.slice(axis + 1));
  const out = new Float64Array(count(shape));
  for (let o = 0; o < outer; o++) {
    for (let u = 0; u < terms; u++) {
      const from = (o * terms + u) * inner;
      for (let x = 0; x < length; x++) {
        const factor = matrix.data[u * length + x];
        const to = (o * length + x) * inner;
        for (let i = 0; i < inner; i++) out[to + i] += a.data[from + i] * factor;
      }
    }
  }
  return { shape, data: out };
}

export function transpose(a: NdArray, axes: readonly number[], shape: Shape): NdArray {
  const from = strides(a.shape);
  const own = axes.map((axis) => from[axis]);
  const step = own.at(-1) ?? 0;
  const length = shape.at(-1) ?? 1;
  const out = new Float64Array(a.data.length);
  forEachRow(shape, own, own, (start, place) => {
    for (let i = 0; i < length; i++) out[start + i] = a.data[place + i * step];
  });
  return { shape, data: out };
}

/** The Kronecker product of two matrices. */
export function kron(a: NdArray, b: NdArray, shape: Shape): NdArray {
  const [rows, columns] = a.shape;
  const [bRows, bColumns] = b.shape;
  const out = new Float64Array(count(shape));
  let place = 0;
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < bRows; k++) {
      for (let j = 0; j < columns; j++) {
        const factor = a.data[i * columns + j];
        for (let l = 0; l < bColumns; l++) out[place++] = factor * b.data[k * bColumns + l];
      }
    }
  }
  return { shape, data: out };
}

/** An elementwise operation, the last axes aligned, lengths of 1 stretched. */
export function elementwise(
  a: NdArray,
  b: NdArray,
  shape: Shape,
  operation: (x: number, y: number) => number,
): NdArray {
  const aStrides = stretched(a.shape, shape);
  const bStrides = stretched(b.shape, shape);
  const aStep = aStrides.at(-1) ?? 0;
  const bStep = bStrides.at(-1) ?? 0;
  const length = shape.at(-1) ?? 1;
  const out = new Float64Array(count(shape));
  forEachRow(shape, aStrides, bStrides, (start, x, y) => {
    for (let i = 0; i < length; i++) {
      out[start + i] = operation(a.data[x + i * aStep], b.data[y + i * bStep]);
    }
  });
  return { shape, data: out };
}

/** The strides of an array along the axes of `shape`, 0 where it is stretched. */
function stretched(own: Shape, shape: Shape): number[] {
  const found = strides(own);
  const missing = shape.length - own.length;
  return shape.map((_, axis) => {
    return axis < missing || own[axis - missing] === 1 ? 0 : found[axis - missing];
  });
}

/** `a` at the channels of `segments` along an axis, times their signs. */
export function gather(a: NdArray, segments: NdArray, axis: number, shape: Shape): NdArray {
  const wanted = shape[axis];
  const length = a.shape[axis];
  const channels = segments.data.subarray(0, wanted);
  for (const channel of channels) {
    if (!(channel >= 0 && channel < length && Number.isInteger(channel))) {
      throw new ArchiveError(`No recipe: GATHER of channel ${channel} of ${length}`);
    }
  }
  const outer = count(shape.slice(0, axis));
  const inner = count(shape.slice(axis + 1));
  const out = new Float64Array(count(shape));
  for (let o = 0; o < outer; o++) {
    for (let place = 0; place < wanted; place++) {
      const sign = segments.data[wanted + place];
      const from = (o * length + channels[place]) * inner;
      const to = (o * wanted + place) * inner;
      for (let i = 0; i < inner; i++) out[to + i] = a.data[from + i] * sign;
    }
  }
  return { shape, data: out };
}

export function concatenate(a: NdArray, b: NdArray, axis: number, shape: Shape): NdArray {
  const outer = count(shape.slice(0, axis));
  const out = new Float64Array(count(shape));
  let place = 0;
  for (let o = 0; o < outer; o++) {
    for (const { data } of [a, b]) {
      const run = data.length / outer;
      out.set(data.subarray(o * run, (o + 1) * run), place);
      place += run;
    }
  }
  return { shape, data: out };
}

/** Segments of channels: rows of their channels, their sides and their numbers. */
export function segments(numbers: readonly number[], shape: Shape): NdArray {
  const channels = numbers.length / 2;
  const wanted = shape[1];
  const out = new Float64Array(3 * wanted);
  let place = 0;
  numbers.forEach((length, side) => {
    for (let number = 0; number < length; number++, place++) {
      out[place] = side % channels;
      out[wanted + place] = side < channels ? 1 : -1;
      out[2 * wanted + place] = number;
    }
  });
  return { shape, data: out };
}

export function divide(a: NdArray, b: NdArray, shape: Shape): NdArray {
  if (b.data.includes(0)) throw new ArchiveError("No recipe: DIVIDE by 0");
  return elementwise(a, b, shape, (x, y) => x / y);
}

export function squareRoot(a: NdArray): NdArray {
  if (a.data.some((one) => one < 0)) {
    throw new ArchiveError("No recipe: SQRT of a number below 0");
  }
  return { shape: a.shape, data: a.data.map(Math.sqrt) };
}

export function tile(vector: NdArray, shape: Shape): NdArray {
  const { length } = vector.data;
  const data = new Float64Array(shape[0]);
  for (let place = 0; place < data.length; place += length) data.set(vector.data, place);
  return { shape, data };
}
