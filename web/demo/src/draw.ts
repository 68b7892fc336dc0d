/** The screen *Draw*: a digit, and what the network takes it for at each capacity. */
import { type Capacity, type ModelFile, streamed } from "./catalog.js";
import type { Engine } from "./engine.js";
import { type Network, opened } from "./network.js";
import { Pad } from "./pad.js";
import { bytes, choice, complain, element, forget, made } from "./page.js";
import { inputs } from "./pictures.js";
import { picture, SEVEN } from "./strokes.js";

const SHOWN = 3;
const SLOWLY = 1000;

/** Starts the screen. */
export function startDraw(engine: Engine, network: Network, model: ModelFile): void {
  const screen = new DrawScreen(engine, network, model);
  element("clear").addEventListener("click", () => screen.draw([]));
  element("example").addEventListener("click", () => screen.draw(SEVEN));
  element("slowly").addEventListener("click", () => void screen.fetch(SLOWLY).catch(complain));
  void screen.fetch().catch(complain);
}

class DrawScreen {
  private readonly pad: Pad;
  /** Of each capacity that has arrived, its flatbuffer. */
  private files: Uint8Array[] = [];
  /** Of a .tflite file, the whole alone. */
  private readonly capacities: readonly Capacity[];
  private isFetching = false;
  private inUse = -1;
  /** One task follows another, so that a run never meets a network that is half loaded. */
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly engine: Engine,
    private readonly network: Network,
    private readonly model: ModelFile,
  ) {
    const whole = { share: 1, bytes: model.bytes };
    this.capacities = model.capacities.length > 0 ? model.capacities : [whole];
    this.pad = new Pad(element<HTMLCanvasElement>("pad"), () => this.follow(() => this.guess()));
  }

  draw(strokes: Pad["strokes"]): void {
    forget();
    this.pad.strokes = strokes;
  }

  /** Fetches the archive, and takes each capacity as soon as its bytes are there. */
  async fetch(bytesASecond?: number): Promise<void> {
    if (this.isFetching) return;
    this.isFetching = true;
    this.files = [];
    this.inUse = -1;
    element("capacities").replaceChildren();
    const { capacities, model } = this;
    let taken = 0;
    try {
      await streamed(
        model.file,
        (data) => {
          this.count(data.length);
          while (taken < capacities.length && capacities[taken].bytes <= data.length) {
            const number = taken++;
            this.follow(() => this.expand(number, data));
          }
        },
        bytesASecond,
      );
    } finally {
      this.isFetching = false;
    }
  }

  private count(arrived: number): void {
    element<HTMLProgressElement>("arrived").value = arrived / this.model.bytes;
    element("bytes").textContent =
      `${arrived.toLocaleString("en")} of ${bytes(this.model.bytes)} have arrived.`;
  }

  private follow(task: () => Promise<void>): void {
    this.last = this.last.then(task).catch(complain);
  }

  private async expand(number: number, data: Uint8Array): Promise<void> {
    const capacity = this.capacities[number];
    const isWhole = capacity.bytes === this.model.bytes;
    const part = data.slice(0, capacity.bytes);
    const begin = performance.now();
    const { file, sha256 } = await (isWhole
      ? opened(this.engine, part)
      : this.engine.ask("expand", { data: part, isCut: true }));
    const milliseconds = performance.now() - begin;
    if (isWhole && sha256 !== this.model.sha256) {
      throw new Error(`'${this.model.file}' gives another file than Python's.`);
    }
    this.files[number] = file;
    const made = `a .tflite file of ${bytes(file.length)} in ${milliseconds.toFixed(0)} ms`;
    element("draw-report").textContent = `${bytes(capacity.bytes)} became ${made}.`;
    this.offer(number, capacity);
    await this.use(number);
  }

  /** Shows a capacity to choose. */
  private offer(number: number, { share, bytes: size }: Capacity): void {
    const text = `${100 * share} %, ${bytes(size)}`;
    const [label, input] = choice("radio", "capacity", text);
    input.value = String(number);
    input.addEventListener("change", () => this.follow(() => this.use(number)));
    element("capacities").append(label);
  }

  private async use(number: number): Promise<void> {
    if (number !== this.inUse) await this.network.load(this.files[number]);
    this.inUse = number;
    const radios = document.querySelectorAll<HTMLInputElement>('input[name="capacity"]');
    for (const one of radios) one.checked = one.value === String(number);
    await this.guess();
  }

  private async guess(): Promise<void> {
    const { strokes } = this.pad;
    const list = element("guesses");
    if (strokes.length === 0) {
      list.replaceChildren();
      element("guess").textContent = "Draw with a finger, a mouse or the arrow keys.";
      return;
    }
    if (!this.network.isReady) return;
    const { output, milliseconds } = await this.network.run(
      inputs(picture(strokes), this.model.normalization),
    );
    const order = [...output.keys()].sort((a, b) => output[b] - output[a]).slice(0, SHOWN);
    const name = (one: number) => this.model.labels[one] ?? String(one);
    element("guess").textContent =
      `This is ${name(order[0])}, found in ${milliseconds.toFixed(1)} ms.`;
    list.replaceChildren(...order.map((one) => bar(name(one), output[one])));
  }
}

function bar(label: string, share: number): HTMLLIElement {
  const item = made("li");
  const meter = made("meter");
  meter.value = share;
  meter.setAttribute("aria-hidden", "true");
  item.append(made("span", label), meter, made("span", `${(100 * share).toFixed(0)} %`));
  return item;
}
