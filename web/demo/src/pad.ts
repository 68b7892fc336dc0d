import { context } from "./page.js";
import type { Point, Strokes } from "./strokes.js";

const WIDTH = 20;
/** How far an arrow key moves the pen. */
const STEP = 10;

/** The area on which one draws, with a pointer or the keyboard. */
export class Pad {
  private held: Point[][] = [];
  private pen: Point;
  private isDown = false;

  /** @param drawn Is called when a stroke has ended. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly drawn: () => void,
  ) {
    this.pen = { x: canvas.width / 2, y: canvas.height / 2 };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.isDown = true;
      this.held.push([]);
      this.draw(this.place(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.isDown && canvas.hasPointerCapture(event.pointerId)) this.draw(this.place(event));
    });
    canvas.addEventListener("lostpointercapture", () => this.lift());
    canvas.addEventListener("keydown", (event) => this.press(event));
    this.show();
  }

  get strokes(): Strokes {
    return this.held;
  }

  set strokes(strokes: Strokes) {
    this.held = strokes.map((stroke) => [...stroke]);
    this.isDown = false;
    this.show();
    this.drawn();
  }

  private press(event: KeyboardEvent): void {
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [-STEP, 0],
      ArrowRight: [STEP, 0],
      ArrowUp: [0, -STEP],
      ArrowDown: [0, STEP],
    };
    const step = steps[event.key];
    if (!step && event.key !== " ") return;
    event.preventDefault();
    if (step) {
      const { width, height } = this.canvas;
      this.pen = {
        x: Math.min(width, Math.max(0, this.pen.x + step[0])),
        y: Math.min(height, Math.max(0, this.pen.y + step[1])),
      };
      if (this.isDown) this.draw(this.pen);
    } else if (this.isDown) {
      this.lift();
    } else {
      this.isDown = true;
      this.held.push([]);
      this.draw(this.pen);
    }
    this.show(true);
  }

  private draw(point: Point): void {
    this.held.at(-1)?.push(point);
    this.show();
  }

  private lift(): void {
    if (!this.isDown) return;
    this.isDown = false;
    this.drawn();
  }

  private place({ offsetX, offsetY }: PointerEvent): Point {
    const { width, height, clientWidth, clientHeight } = this.canvas;
    return { x: (offsetX * width) / clientWidth, y: (offsetY * height) / clientHeight };
  }

  private show(hasPen = false): void {
    const pen = context(this.canvas);
    pen.fillStyle = "#000000";
    pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    pen.strokeStyle = "#ffffff";
    pen.lineWidth = WIDTH;
    pen.lineCap = pen.lineJoin = "round";
    for (const stroke of this.held) {
      pen.beginPath();
      pen.moveTo(stroke[0].x, stroke[0].y);
      for (const { x, y } of stroke) pen.lineTo(x, y);
      pen.stroke();
    }
    if (!hasPen) return;
    pen.fillStyle = this.isDown ? "#ff5252" : "#6fc3f7";
    pen.fillRect(this.pen.x - 4, this.pen.y - 4, 8, 8);
  }
}
