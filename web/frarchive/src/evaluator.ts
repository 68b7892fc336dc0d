import { count, type NdArray } from "./arrays.js";
import { Cosines } from "./cosines.js";
import * as operations from "./operations.js";
import { isSite, type Node, type Program, type Site, type Step } from "./program.js";
import { real } from "./shapes.js";
import type { Source } from "./source.js";
import { zigzag } from "./zigzag.js";

const LEAST_VARIANCE = Math.fround(1e-12);
const DOUBLE_BYTES = 8;

/** A kernel and its bias, computed. */
export interface Filled {
  readonly site: Site;
  readonly kernel: NdArray;
  readonly bias: NdArray | undefined;
}

/**
 * Computes the arrays of a program one after the other, and lets go of each behind the last step
 * that takes it. Only + - * / and square roots in double precision, each rounded by itself.
 */
export class Evaluator {
  /** For each step, the nodes that no later step takes. */
  private readonly released: readonly number[][];

  constructor(
    private readonly program: Program,
    private readonly shapes: readonly (readonly number[])[],
    private readonly source: Source,
  ) {
    this.released = releases(program.steps);
  }

  /** The bytes of all arrays that are there at a time, at most. */
  peakBytes(): number {
    let live = 0;
    let peak = 0;
    let node = 0;
    this.program.steps.forEach((step, place) => {
      if (!isSite(step)) {
        live += this.bytes(node);
        peak = Math.max(peak, live + this.scratchBytes(step, node));
        node++;
      }
      for (const done of this.released[place]) live -= this.bytes(done);
    });
    return peak;
  }

  /** Calls `fill` for each site, in order. */
  run(fill: (filled: Filled) => void): void {
    const arrays = new Map<number, NdArray>();
    let node = 0;
    const array = (one: number): NdArray => arrays.get(one) as NdArray;
    this.program.steps.forEach((step, place) => {
      if (isSite(step)) {
        const bias = step.bias === undefined ? undefined : array(step.bias);
        fill({ site: step, kernel: array(step.kernel), bias });
      } else {
        arrays.set(node, this.compute(step, step.inputs.map(array), this.shapes[node]));
        node++;
      }
      for (const done of this.released[place]) arrays.delete(done);
    });
  }

  private bytes(node: number): number {
    return DOUBLE_BYTES * count(this.shapes[node]);
  }

  /** What a step takes besides its result. */
  private scratchBytes({ op, numbers }: Node, node: number): number {
    switch (op) {
      case "COEFFICIENTS":
        // The sums of the places twice, and four arrays of 32 bits.
        return 4 * this.bytes(node);
      case "VECTORS":
      case "VARIANCES":
        return 4 * DOUBLE_BYTES * numbers[1];
      case "COSINES":
        return 2 * DOUBLE_BYTES * (numbers[0] + 1);
      case "KERNEL":
        return this.bytes(node) / 2;
      default:
        return 0;
    }
  }

  private compute(node: Node, [a, b]: readonly NdArray[], shape: readonly number[]): NdArray {
    const { op, numbers } = node;
    switch (op) {
      case "COEFFICIENTS":
        return this.coefficients(numbers, shape);
      case "VECTORS":
        return this.vectors(numbers, shape, Number.NEGATIVE_INFINITY);
      case "VARIANCES":
        return this.vectors(numbers, shape, LEAST_VARIANCE);
      case "COSINES":
        return cosines(numbers, shape);
      case "SCALAR":
        return { shape, data: Float64Array.of(real(numbers[0])) };
      case "SEGMENTS":
        return operations.segments(numbers, shape);
      case "CONTRACT":
        return operations.contract(a, b, numbers[0], shape);
      case "TRANSPOSE":
        return operations.transpose(a, numbers, shape);
      case "RESHAPE":
        return { shape, data: a.data };
      case "KRON":
        return operations.kron(a, b, shape);
      case "ADD":
        return operations.elementwise(a, b, shape, (x, y) => x + y);
      case "SUBTRACT":
        return operations.elementwise(a, b, shape, (x, y) => x - y);
      case "MULTIPLY":
        return operations.elementwise(a, b, shape, (x, y) => x * y);
      case "DIVIDE":
        return operations.divide(a, b, shape);
      case "SQRT":
        return operations.squareRoot(a);
      case "GATHER":
        return operations.gather(a, b, numbers[0], shape);
      case "STARTS":
        return { shape, data: a.data.slice(2 * shape[0]) };
      case "TILE":
        return operations.tile(a, shape);
      case "CONCATENATE":
        return operations.concatenate(a, b, numbers[0], shape);
      case "KERNEL":
        return { shape, data: Float64Array.from(this.source.kernels[numbers[0]].reals()) };
    }
  }

  private coefficients(numbers: readonly number[], shape: readonly number[]): NdArray {
    const reals = this.source.tensors[numbers[0]].reals();
    const order = zigzag(shape, numbers.slice(1 + shape.length));
    const data = new Float64Array(order.length);
    reals.forEach((one, place) => (data[order[place]] = one));
    return { shape, data };
  }

  private vectors(numbers: readonly number[], shape: readonly number[], least: number): NdArray {
    const [first, length, total] = numbers;
    const data = new Float64Array(total);
    for (let start = 0; start < total; start += length) {
      const vector = this.source.vectors[first + start / length];
      const reals = vector.rebuild(Math.min(length, total - start));
      reals.forEach((one, i) => (data[start + i] = Math.max(one, least)));
    }
    return { shape, data };
  }
}

function cosines([length, rows, from]: readonly number[], shape: readonly number[]): NdArray {
  const matrix = new Cosines(length);
  const data = new Float64Array(count(shape));
  const columns = shape[1];
  for (let u = 0; u < rows; u++) {
    matrix.row(u, from, data.subarray(u * columns, (u + 1) * columns));
  }
  return { shape, data };
}

/** For each step, the nodes that it is the last to take, or that nobody takes. */
function releases(steps: readonly Step[]): number[][] {
  const last: number[] = [];
  let node = 0;
  steps.forEach((step, place) => {
    for (const taken of takenBy(step)) last[taken] = place;
    if (!isSite(step)) last[node++] = place;
  });
  const released: number[][] = steps.map(() => []);
  last.forEach((place, one) => released[place].push(one));
  return released;
}

function takenBy(step: Step): readonly number[] {
  if (!isSite(step)) return step.inputs;
  return step.bias === undefined ? [step.kernel] : [step.kernel, step.bias];
}
