import { count } from "./arrays.js";
import { ArchiveError } from "./errors.js";
import { isSite, type Node, type Program, type Site } from "./program.js";
import type { Source } from "./source.js";

const MOST_ELEMENTS = 2 ** 23;
const MOST_HELD = 2 ** 25;
const MOST_WORK = 2 ** 31;
const MOST_AXES = 32;
const LONGEST_VECTOR = 2 ** 12;
const HEAVIEST_AXIS = 2 ** 20;
const SEGMENT_ROWS = 3;

type Shape = readonly number[];

/** What does not fit an operation. */
class Misfit extends Error {}

/**
 * Returns the shapes of all arrays of a program, found before any is computed: they follow from the
 * numbers of the steps. Refuses steps that do not fit one another, or take too much.
 */
export function readShapes(program: Program, source: Source): Shape[] {
  const shapes: Shape[] = [];
  const rules = new Rules(source);
  let held = 0;
  for (const step of program.steps) {
    if (isSite(step)) {
      rules.check(step, shapes);
      continue;
    }
    const shape = rules.shape(step, shapes);
    if (shape.length > MOST_AXES || size(shape.map((one) => Math.max(1, one))) > MOST_ELEMENTS) {
      throw new ArchiveError(
        `Arrays have at most ${MOST_AXES} axes and ${MOST_ELEMENTS} numbers, not ${shown(shape)}`,
      );
    }
    held += size(shape);
    if (held > MOST_HELD) throw new ArchiveError(`Recipes hold at most ${MOST_HELD} numbers`);
    shapes.push(shape);
  }
  return shapes;
}

class Rules {
  private work = 0;

  constructor(private readonly source: Source) {}

  check(site: Site, shapes: readonly Shape[]): void {
    const kernel = shapes[site.kernel];
    if (kernel.length === 0 || count(kernel) === 0) {
      throw new ArchiveError("A kernel must have an output channel");
    }
    const bias = site.bias === undefined ? undefined : shapes[site.bias];
    if (bias && !(bias.length === 1 && bias[0] === kernel[0])) {
      throw new ArchiveError(`A bias must have ${kernel[0]} numbers, one for each channel`);
    }
    this.spend([count(kernel)]);
  }

  shape(node: Node, shapes: readonly Shape[]): Shape {
    const inputs = node.inputs.map((input) => shapes[input]);
    try {
      return this.found(node, inputs[0], inputs[1]);
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      throw new ArchiveError(`No recipe: ${node.op} on these: ${error.message}`);
    }
  }

  private found({ op, numbers }: Node, a: Shape, b: Shape): Shape {
    switch (op) {
      case "COEFFICIENTS":
        return this.coefficients(numbers);
      case "VECTORS":
      case "VARIANCES":
        return this.vectors(numbers);
      case "COSINES":
        return this.cosines(numbers);
      case "SCALAR":
        fits(numbers.length === 1 && Number.isFinite(real(numbers[0])), "a number is finite");
        return [];
      case "SEGMENTS":
        return this.segments(numbers);
      case "CONTRACT":
        return this.contract(axisOf(numbers, a), a, b);
      case "TRANSPOSE":
        return transposed(numbers, a);
      case "RESHAPE":
        fits(size(numbers) === count(a), "another number of numbers");
        return numbers;
      case "KRON":
        return this.kron(a, b);
      case "ADD":
      case "SUBTRACT":
      case "MULTIPLY":
      case "DIVIDE":
        return this.spend(broadcast(a, b));
      case "SQRT":
        return a;
      case "GATHER":
        return this.spend(a.with(axisOf(numbers, a), segmentCount(b)));
      case "STARTS":
        return [segmentCount(a)];
      case "TILE":
        fits(numbers.length === 1 && a.length === 1, "it repeats a vector");
        return this.spend([a[0] * numbers[0]]);
      case "CONCATENATE":
        return this.concatenate(axisOf(numbers, a), a, b);
      case "KERNEL":
        return this.kernel(numbers);
    }
  }

  private coefficients(numbers: Shape): Shape {
    const rank = (numbers.length - 1) / 2;
    fits(rank >= 1 && Number.isInteger(rank), "a corner has one length and one weight an axis");
    const corner = numbers.slice(1, 1 + rank);
    const weights = numbers.slice(1 + rank);
    fits(
      corner.every((one) => one > 0) && weights.every((one) => one >= 1 && one <= HEAVIEST_AXIS),
      `lengths and weights are at least 1, and weights at most ${HEAVIEST_AXIS}`,
    );
    this.spend([rank, ...corner]);
    const tensor = this.source.tensors[numbers[0]];
    fits(tensor !== undefined, `there is no tensor ${numbers[0]}`);
    fits(tensor.values.length <= size(corner), "more coefficients than places");
    return corner;
  }

  private vectors(numbers: Shape): Shape {
    fits(numbers.length === 3, "it has three numbers");
    const [first, length, total] = numbers;
    const isVector = length >= 1 && length <= LONGEST_VECTOR;
    fits(isVector, `a vector has from 1 to ${LONGEST_VECTOR} numbers`);
    this.spend([total], length);
    for (let start = 0; start < total; start += length) {
      const number = first + start / length;
      const vector = this.source.vectors[number];
      fits(vector !== undefined, `there is no vector ${number}`);
      const room = Math.min(length, total - start);
      fits(vector.values.length <= room, `vector ${number} has more coefficients than numbers`);
    }
    return [total];
  }

  private cosines(numbers: Shape): Shape {
    fits(numbers.length === 4, "it has four numbers");
    const [length, rows, from, to] = numbers;
    fits(from < to && to <= length && rows >= 1 && rows <= length, "there is no such part");
    this.spend([rows, length]);
    return [rows, to - from];
  }

  private segments(numbers: Shape): Shape {
    const isPaired = numbers.length > 0 && numbers.length % 2 === 0;
    fits(isPaired, "there are two numbers a channel");
    return this.spend([SEGMENT_ROWS, numbers.reduce((sum, one) => sum + one, 0)]);
  }

  private contract(axis: number, a: Shape, matrix: Shape): Shape {
    const isMatrix = matrix.length === 2 && matrix[0] === a[axis];
    fits(isMatrix, "an axis needs a matrix of as many rows");
    return this.spend(a.with(axis, matrix[1]), Math.max(1, matrix[0]));
  }

  private kron(a: Shape, b: Shape): Shape {
    fits(a.length === 2 && b.length === 2, "it takes two matrices");
    return this.spend([a[0] * b[0], a[1] * b[1]]);
  }

  private concatenate(axis: number, a: Shape, b: Shape): Shape {
    const isAlike = b.length === a.length && a.every((one, at) => at === axis || one === b[at]);
    fits(isAlike, "the lengths of another axis differ");
    this.spend([count(a) + count(b)]);
    return a.with(axis, a[axis] + b[axis]);
  }

  private kernel(numbers: Shape): Shape {
    fits(numbers.length > 0, "it has the number of a kernel, and a shape");
    const shape = this.spend(numbers.slice(1));
    const kernel = this.source.kernels[numbers[0]];
    fits(kernel !== undefined, `there is no kernel ${numbers[0]}`);
    fits(kernel.size === size(shape), `its kernel has ${kernel.size} numbers`);
    return shape;
  }

  /** Refuses an array that is too large, and work beyond the limit, before it is done. */
  private spend(shape: Shape, terms = 1): Shape {
    const numbers = size(shape);
    this.work += numbers * terms;
    if (numbers > MOST_ELEMENTS || this.work > MOST_WORK) {
      throw new ArchiveError(
        `Recipes make arrays of at most ${MOST_ELEMENTS} numbers in at most ${MOST_WORK} ` +
          `operations, not one of shape ${shown(shape)}`,
      );
    }
    return shape;
  }
}

/** The number of a SCALAR, by its bits. */
export function real(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0];
}

function transposed(numbers: Shape, a: Shape): Shape {
  const sorted = numbers.toSorted((one, other) => one - other);
  const isPermutation = sorted.length === a.length && sorted.every((axis, at) => axis === at);
  fits(isPermutation, "that is no permutation of axes");
  return numbers.map((axis) => a[axis]);
}

function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const x = a[axis - rank + a.length] ?? 1;
    const y = b[axis - rank + b.length] ?? 1;
    fits(x === y || x === 1 || y === 1, `the lengths ${x} and ${y} of an axis`);
    return x === 1 ? y : x;
  });
}

function axisOf(numbers: Shape, a: Shape): number {
  fits(numbers.length === 1 && numbers[0] < a.length, "there is no such axis");
  return numbers[0];
}

function segmentCount(segments: Shape): number {
  fits(segments.length === 2 && segments[0] === SEGMENT_ROWS, "segments are three rows");
  return segments[1];
}

function fits(rule: boolean, message: string): asserts rule {
  if (!rule) throw new Misfit(message);
}

/** The product of lengths. It is exact up to 2^53, which is beyond every limit. */
function size(shape: Shape): number {
  return shape.includes(0) ? 0 : count(shape);
}

function shown(shape: Shape): string {
  return `(${shape.slice(0, MOST_AXES).join(", ")})`;
}
