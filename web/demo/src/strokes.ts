/** A drawing, and the picture that a network sees of it. */

/** A point of the canvas; the unit does not matter, for a drawing is fitted into its box. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

export type Strokes = readonly (readonly Point[])[];

/** The side of the picture in pixels. */
export const SIDE = 28;
/** The longer side of a digit and its ink, as MNIST has them: 20 of 28 pixels, about 2.4 wide. */
const BOX = 20;
const RADIUS = 1.2;
const INK = 255;

/** A seven, for whoever cannot draw. */
export const SEVEN: Strokes = [
  [
    { x: 70, y: 60 },
    { x: 210, y: 60 },
    { x: 130, y: 230 },
  ],
];

/** White ink on black, fitted into the middle as the digits of MNIST are. */
export function picture(strokes: Strokes): Float32Array {
  const inMiddle = fitted(strokes);
  return Float32Array.from({ length: SIDE * SIDE }, (_, place) => {
    return ink(inMiddle, (place % SIDE) + 0.5, Math.floor(place / SIDE) + 0.5);
  });
}

function fitted(strokes: Strokes): Strokes {
  const points = strokes.flat();
  if (points.length === 0) return [];
  const left = Math.min(...points.map(({ x }) => x));
  const top = Math.min(...points.map(({ y }) => y));
  const width = Math.max(...points.map(({ x }) => x)) - left;
  const height = Math.max(...points.map(({ y }) => y)) - top;
  const longest = Math.max(width, height);
  // The ink is as wide as it is; the box holds it whole. A dot stays a dot.
  const scale = longest > 0 ? (BOX - 2 * RADIUS) / longest : 0;
  const [x, y] = [(SIDE - width * scale) / 2, (SIDE - height * scale) / 2];
  return strokes.map((stroke) => {
    return stroke.map((one) => ({ x: x + (one.x - left) * scale, y: y + (one.y - top) * scale }));
  });
}

/** How much of a pixel is inked: a disc moved along the strokes, its edge one pixel soft. */
function ink(strokes: Strokes, x: number, y: number): number {
  let nearest = Number.POSITIVE_INFINITY;
  for (const stroke of strokes) {
    stroke.forEach((to, place) => {
      nearest = Math.min(nearest, distance(stroke[Math.max(place - 1, 0)], to, x, y));
    });
  }
  return INK * Math.max(0, Math.min(1, RADIUS + 0.5 - nearest));
}

function distance(a: Point, b: Point, x: number, y: number): number {
  const [across, down] = [b.x - a.x, b.y - a.y];
  const square = across * across + down * down;
  const along = square > 0 ? ((x - a.x) * across + (y - a.y) * down) / square : 0;
  const place = Math.max(0, Math.min(1, along));
  return Math.hypot(a.x + place * across - x, a.y + place * down - y);
}
