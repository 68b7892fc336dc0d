/** The screen *Segment*: a picture that stays on the device, and what the network sees in it. */
import type { ModelFile } from "./catalog.js";
import type { Engine } from "./engine.js";
import { flatbuffer, type Network } from "./network.js";
import { bytes, complain, context, element, forget } from "./page.js";
import { classesOf, gray, inputs, overlay, resized } from "./pictures.js";

/** Starts the screen. */
export function startSegment(engine: Engine, network: Network, model: ModelFile): void {
  const screen = new SegmentScreen(engine, network, model);
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

  constructor(
    private readonly engine: Engine,
    private readonly network: Network,
    private readonly model: ModelFile,
  ) {}

  /** Shows the square in the middle of a picture, and segments it. */
  async open(file: File): Promise<void> {
    const bitmap = await createImageBitmap(file).catch(() => {
      throw new Error(`'${file.name}' is no picture that this browser knows.`);
    });
    const side = Math.min(bitmap.width, bitmap.height);
    const [left, top] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
    const { width } = this.photo;
    context(this.photo).drawImage(bitmap, left, top, side, side, 0, 0, width, width);
    bitmap.close();
    await this.segment();
  }

  /** Draws a disc, a box and a ring, as those on which the network was trained. */
  async drawShapes(): Promise<void> {
    const pen = context(this.photo);
    const { width } = this.photo;
    pen.fillStyle = "#404040";
    pen.fillRect(0, 0, width, width);
    pen.fillStyle = pen.strokeStyle = "#d0d0d0";
    pen.fillRect(40, 150, 70, 60);
    pen.beginPath();
    pen.arc(75, 70, 38, 0, 2 * Math.PI);
    pen.fill();
    pen.lineWidth = 18;
    pen.beginPath();
    pen.arc(185, 130, 40, 0, 2 * Math.PI);
    pen.stroke();
    await this.segment();
  }

  private async segment(): Promise<void> {
    forget();
    const { model, network, photo } = this;
    const said = element("segmented");
    said.textContent = "Segmenting …";
    if (!network.isReady) await network.load(await flatbuffer(this.engine, model));
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
    said.textContent = `Found: ${names}, ${where}, in ${milliseconds.toFixed(1)} ms.`;
    element("segment-report").textContent =
      `${model.file} is a download of ${bytes(model.bytes)}. It sees ${side} × ${side} pixels.`;
  }
}
