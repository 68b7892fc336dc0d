import { Codebooks, MOST_LEVELS } from "./codebooks.js";
import type { Section } from "./container.js";
import { Numbers } from "./integers.js";
import { HIGHEST_STEP, LOWEST_STEP, Quantized } from "./quantized.js";
import type { RangeDecoder } from "./rangedecoder.js";
import { LENGTHS, MOST_SERIES, mostNumbers } from "./series.js";
import { readSigns } from "./signs.js";
import { WholeNumbers } from "./wholenumbers.js";

const MOST_NUMBERS = 2 ** 24;
/** The form of signs of a seed; those below are numbers of levels. */
const SIGNS = MOST_LEVELS + 1;

/** A kernel that is stored as it lies in space, not in the DCT domain. */
export interface Kernel {
  /** The length of the last axis, at least 1; it divides the count of the numbers. */
  readonly columns: number;
  /** How many numbers there are. */
  readonly size: number;
  /** Returns the numbers, laid out with the last axis fastest. */
  reals(): Float32Array;
}

/** A kernel of whole numbers of a step. */
export class QuantizedKernel implements Kernel {
  constructor(
    readonly numbers: Quantized,
    readonly columns: number,
  ) {}

  get size(): number {
    return this.numbers.values.length;
  }

  reals(): Float32Array {
    return this.numbers.reals();
  }
}

/** What the table says of a kernel. */
interface Row {
  readonly rows: number;
  readonly columns: number;
  readonly step: number;
  /** 0 for whole numbers of the step, `SIGNS`, or how many levels a codebook has. */
  readonly form: number;
}

/** Reads the section of kernels in space: a table of them, then their numbers. */
export function readKernels(section: Section): Kernel[] {
  const decoder = section.decoder();
  const rows = new KernelTable(decoder, section.size).rows();
  const wholeNumbers = new WholeNumbers();
  const codebooks = new Codebooks();
  const kernels = rows.map(({ rows, columns, step, form }) => {
    if (form === SIGNS) return readSigns(decoder, rows, columns);
    if (form > 0) return codebooks.read(decoder, form, rows, columns);
    const values = wholeNumbers.read(decoder, rows, columns);
    return new QuantizedKernel(new Quantized(values, step), columns);
  });
  decoder.finish();
  return kernels;
}

/** The table of a section of so many bytes; its rows are differences from the row before. */
class KernelTable {
  private readonly most: number;
  private readonly rowNumbers = new Numbers(LENGTHS);
  private readonly columnNumbers = new Numbers(LENGTHS);
  private readonly stepNumbers = new Numbers();
  private readonly formNumbers = new Numbers();
  private height = 0;
  private columns = 0;
  private step = 0;
  private total = 0;
  private ofSeeds = 0;

  constructor(
    private readonly decoder: RangeDecoder,
    private readonly size: number,
  ) {
    this.most = mostNumbers(MOST_NUMBERS, size);
  }

  rows(): Row[] {
    const number = new Numbers().magnitude(this.decoder);
    if (number < 1 || number > MOST_SERIES) {
      throw this.decoder.refused(`A section has 1 to ${MOST_SERIES} kernels, not ${number}`);
    }
    return Array.from({ length: number }, () => this.row());
  }

  private row(): Row {
    const { decoder } = this;
    this.height += this.rowNumbers.signed(decoder);
    this.columns += this.columnNumbers.signed(decoder);
    const change = this.stepNumbers.signed(decoder);
    this.step += change;
    const form = this.formNumbers.magnitude(decoder);
    const { height, columns, step } = this;
    const hasStep = step >= LOWEST_STEP && step <= HIGHEST_STEP;
    if (height < 0 || columns < 1 || !hasStep) {
      throw decoder.refused(`A kernel has no ${height} rows of ${columns}, step ${step}`);
    }
    if (form > SIGNS || (form > 0 && change !== 0)) {
      throw decoder.refused(`A kernel has no form ${form} with a step that differs by ${change}`);
    }
    // An empty kernel counts as one with a row. A product that is rounded is far above the limit.
    const count = Math.max(height, 1) * columns;
    this.total += count;
    if (form === SIGNS) this.ofSeeds += count;
    const coded = this.total - this.ofSeeds;
    if (this.total > MOST_NUMBERS || coded > this.most) {
      throw decoder.refused(
        `${this.size} bytes hold at most ${this.most} numbers, not ${coded}, and ` +
          `${MOST_NUMBERS} with signs of seeds, not ${this.total}`,
      );
    }
    return { rows: height, columns, step, form };
  }
}
