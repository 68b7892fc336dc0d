/** Pictures of one number a pixel, from 0 to 255, and what a network makes of them. */
import type { Normalization } from "./catalog.js";

// The luma of ITU-R BT.601.
const [RED, GREEN, BLUE] = [0.299, 0.587, 0.114];

/** The gray of pixels as a canvas has them, red, green, blue and opacity. */
export function gray(pixels: ArrayLike<number>): Float32Array {
  return Float32Array.from({ length: pixels.length / 4 }, (_, at) => {
    return RED * pixels[4 * at] + GREEN * pixels[4 * at + 1] + BLUE * pixels[4 * at + 2];
  });
}

/** A square of `old` pixels a side in another size: each pixel is the mean of what it covers. */
export function resized(pixels: Float32Array, old: number, side: number): Float32Array {
  const covers = shares(old, side);
  const mean = ({ first, weights }: Share, value: (at: number) => number) =>
    weights.reduce((sum, weight, at) => sum + weight * value(first + at), 0);
  const narrow = new Float64Array(old * side);
  for (let row = 0; row < old; row++) {
    covers.forEach((share, column) => {
      narrow[row * side + column] = mean(share, (at) => pixels[row * old + at]);
    });
  }
  return Float32Array.from({ length: side * side }, (_, place) => {
    const column = place % side;
    return mean(covers[Math.floor(place / side)], (row) => narrow[row * side + column]);
  });
}

/** The inputs of a network. */
export function inputs(pixels: Float32Array, normalization: Normalization | null): Float32Array {
  const { scale, offset } = normalization ?? { scale: 1, offset: 0 };
  return pixels.map((pixel) => pixel * scale + offset);
}

/** The class of each pixel of `(pixels, classes)` outputs. */
export function classesOf(outputs: Float32Array, classes: number): Uint8Array {
  return Uint8Array.from({ length: outputs.length / classes }, (_, pixel) => {
    let best = 0;
    for (let one = 1; one < classes; one++) {
      if (outputs[pixel * classes + one] > outputs[pixel * classes + best]) best = one;
    }
    return best;
  });
}

const COLORS = [0xe53935, 0x1e88e5, 0x43a047, 0xfdd835, 0x8e24aa];

/** Pixels of a canvas: class 0 is clear, each other one has a color. */
export function overlay(classes: Uint8Array): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * classes.length);
  classes.forEach((one, at) => {
    if (one === 0) return;
    const color = COLORS[(one - 1) % COLORS.length];
    pixels.set([color >> 16, (color >> 8) & 255, color & 255, 255], 4 * at);
  });
  return pixels;
}

/** What a pixel of a new size covers: pixels of the old one from `first` on, and how much. */
interface Share {
  readonly first: number;
  readonly weights: readonly number[];
}

function shares(old: number, side: number): Share[] {
  const ratio = old / side;
  return Array.from({ length: side }, (_, place) => {
    const begin = place * ratio;
    const end = Math.min((place + 1) * ratio, old);
    const first = Math.min(Math.floor(begin), old - 1);
    const length = Math.max(1, Math.ceil(end) - first);
    const covered = Array.from({ length }, (_, at) => {
      return Math.min(end, first + at + 1) - Math.max(begin, first + at);
    });
    const all = covered.reduce((sum, one) => sum + one, 0);
    return { first, weights: covered.map((one) => one / all) };
  });
}
