import { classOf, exponentsByClass, Magnitudes, moved } from "./integers.js";
import { HALF, type RangeDecoder } from "./rangedecoder.js";

/** The least mean of the class of an unknown scale, in 1/256. */
const UNKNOWN_MEAN = 512;
const LAST_FEW = 8;
const LAST_OF_COLUMN = 32;

/**
 * The whole numbers of kernels, row by row. The exponent of each is predicted from the last few
 * numbers of its kernel and from those of its column. All kernels share what is learned.
 */
export class WholeNumbers {
  private readonly byScale = exponentsByClass();
  private readonly byColumn = exponentsByClass();
  private readonly magnitudes = new Magnitudes();

  read(decoder: RangeDecoder, rows: number, columns: number): Int32Array {
    const values = new Int32Array(rows * columns);
    // Means, in 1/256. Those of the columns of a single row would never be taken.
    const ofColumns = new Float64Array(rows > 1 ? columns : 0).fill(UNKNOWN_MEAN);
    let mean = UNKNOWN_MEAN;
    for (let place = 0, row = 0, column = 0; place < values.length; place++) {
      const ofColumn = rows > 1 ? ofColumns[column] : UNKNOWN_MEAN;
      const second = this.byColumn[classOf(ofColumn)];
      const magnitude = this.magnitudes.read(decoder, this.byScale[classOf(mean)], second);
      mean = moved(mean, magnitude, Math.min(place, LAST_FEW));
      if (rows > 1) {
        ofColumns[column] = moved(ofColumn, magnitude, Math.min(row, LAST_OF_COLUMN));
      }
      const isNegative = magnitude !== 0 && decoder.bit(HALF) === 1;
      values[place] = isNegative ? -magnitude : magnitude;
      if (++column === columns) {
        column = 0;
        row++;
      }
    }
    return values;
  }
}
