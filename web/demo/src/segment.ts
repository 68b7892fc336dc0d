/** The screen *Segment*: a picture that stays on the device, and what the network sees in it. */
import type { ModelFile } from "./catalog.js";
import type { Engine } from "./engine.js";
import { flatbuffer, type Network } from "./network.js";
import { bytes, choice, complain, context, element, forget } from "./page.js";
import { classesOf, gray, inputs, overlay, resized } from "./pictures.js";

/** The length of a side of the pictures that the network was trained on. */
const TRAINED = 64;

/** Starts the screen, with networks for pictures of several sizes, the largest first. */
export function startSegment(
  engine: Engine,
  network: Network,
  models: readonly ModelFile[],
): void {
  const screen = new SegmentScreen(engine, network, models);
  const open = element<HTMLInputElement>("open-picture");
  open.addEventListener("change", () => {
    const [file] = open.files ?? [];
    if (file) void screen.open(file).catch(complain);
    open.value = "";
  });
  element("shapes").addEventListener("click", () => void screen.drawShapes().catch(complain));
  const opacity = element<HTMLInputElement>("opacity");
  const apply = () => (element("overlay").style.opacity = String(Number(opacity.value) / 100));
  opacity.addEventListener("input", apply);
  apply();
  const picture = element("picture");
  picture.addEventListener("dragover", (event) => event.preventDefault());
  picture.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer?.files ?? [];
    if (file) void screen.open(file).catch(complain);
  });
}

class SegmentScreen {
  private readonly photo = element<HTMLCanvasElement>("photo");
  private readonly overlay = element<HTMLCanvasElement>("overlay");
  private readonly choices: readonly HTMLInputElement[];
  /** Draws the picture for the network that is wanted; one that was opened is the same for all. */
  private paint = () => {};
  /** Which of the networks is to run, and which one is loaded. */
  private wanted = 0;
  private loaded = -1;
  /** One picture follows another, so that none meets a network that is half loaded. */
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly engine: Engine,
    private readonly network: Network,
    private readonly models: readonly ModelFile[],
  ) {
    this.choices = models.map(({ shape }, number) => {
      const [label, input] = choice("radio", "side", `${shape[0]} × ${shape[1]}`);
      input.checked = number === this.wanted;
      input.addEventListener("change", () => {
        this.wanted = number;
        void this.segment().catch(complain);
      });
      element("sides").append(label);
      return input;
    });
  }

  /** Shows the square in the middle of a picture, and segments it. */
  async open(file: File): Promise<void> {
    const bitmap = await createImageBitmap(file).catch(() => {
      throw new Error(`'${file.name}' is no picture that this browser can open.`);
    });
    const side = Math.min(bitmap.width, bitmap.height);
    const [left, top] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
    const { width } = this.photo;
    context(this.photo).drawImage(bitmap, left, top, side, side, 0, 0, width, width);
    bitmap.close();
    this.paint = () => {};
    await this.segment();
  }

  /** Draws a disc, a box and a ring for each square as those on which the network was trained. */
  drawShapes(): Promise<void> {
    this.paint = () => this.paintShapes();
    return this.segment();
  }

  private paintShapes(): void {
    const pen = context(this.photo);
    const { width } = this.photo;
    const count = Math.max(1, Math.round(this.models[this.wanted].shape[0] / TRAINED));
    pen.save();
    pen.fillStyle = "#404040";
    pen.fillRect(0, 0, width, width);
    for (let square = 0; square < count ** 2; square++) {
      pen.setTransform(1 / count, 0, 0, 1 / count, 0, 0);
      pen.translate(width * (square % count), width * Math.floor(square / count));
      three(pen);
    }
    pen.restore();
  }

  private segment(): Promise<void> {
    const done = this.last.then(() => this.segmented());
    this.last = done.catch(() => undefined);
    return done;
  }

  private async segmented(): Promise<void> {
    forget();
    element("segmented").textContent = "Segmenting …";
    const failures: string[] = [];
    while (true) {
      try {
        await this.seen(failures);
        return;
      } catch (error) {
        // A runtime that ran out of memory is of no use any more.
        this.engine.end();
        this.loaded = -1;
        if (this.wanted + 1 === this.models.length) {
          element("segmented").textContent = "";
          throw error;
        }
        const { shape } = this.models[this.wanted++];
        this.choices[this.wanted].checked = true;
        const why = error instanceof Error ? error.message : String(error);
        failures.push(`${shape[0]} × ${shape[1]} pixels did not work here: ${why} `);
      }
    }
  }

  private async seen(failures: readonly string[]): Promise<void> {
    const { network, photo } = this;
    const model = this.models[this.wanted];
    this.paint();
    if (this.loaded !== this.wanted) {
      await network.load(await flatbuffer(this.engine, model));
      this.loaded = this.wanted;
    }
    const pixels = context(photo).getImageData(0, 0, photo.width, photo.width).data;
    const { side } = network;
    this.overlay.width = this.overlay.height = side;
    const small = resized(gray(pixels), photo.width, side);
    const { output, milliseconds } = await network.run(inputs(small, model.normalization));
    const classes = classesOf(output, network.classes);
    context(this.overlay).putImageData(new ImageData(overlay(classes), side, side), 0, 0);
    const found = [...new Set(classes)].filter((one) => one > 0);
    const names = found.map((one) => model.labels[one] ?? `class ${one}`).join(", ") || "nothing";
    const share = classes.filter((one) => one > 0).length / classes.length;
    const where = `on ${(100 * share).toFixed(0)} % of the pixels`;
    const instead = failures.length > 0 ? ` ${side} × ${side} pixels were used: see below.` : "";
    element("segmented").textContent =
      `Found: ${names}, ${where}, in ${milliseconds.toFixed(1)} ms.${instead}`;
    element("segment-report").textContent =
      `${failures.join("")}${model.file} is a download of ${bytes(model.bytes)}. ` +
      `It sees ${side} × ${side} pixels.`;
  }
}

/** Draws a disc, a box and a ring into a square of 256 pixels. */
function three(pen: CanvasRenderingContext2D): void {
  pen.fillStyle = pen.strokeStyle = "#d0d0d0";
  pen.fillRect(40, 150, 70, 60);
  pen.beginPath();
  pen.arc(75, 70, 38, 0, 2 * Math.PI);
  pen.fill();
  pen.lineWidth = 18;
  pen.beginPath();
  pen.arc(185, 130, 40, 0, 2 * Math.PI);
  pen.stroke();
}
