/** The screen *Measure*: files, each run in several ways, and the result file. */
import type { Way } from "./capabilities.js";
import { contents, type ModelFile } from "./catalog.js";
import { Engine } from "./engine.js";
import { opened } from "./network.js";
import { bytes, choice, complain, element, forget, made } from "./page.js";
import type { Loaded } from "./protocol.js";
import { type Result, text } from "./results.js";
import { type Agreement, agreement, times } from "./statistics.js";

/** The largest file that is taken. */
const MOST_BYTES = 2 ** 28;
const FLOAT_BYTES = 4;
/** How many columns of numbers the table has. */
const NUMBERS = 4;
const IN_BACKGROUND =
  "Stopped: the page was in the background or the screen was locked, where browsers slow it " +
  "down. Keep it open, and press Measure again.";

/** A file to measure: one of the page, or one that somebody opened. */
interface Subject {
  readonly name: string;
  readonly bytes: number;
  readonly model?: ModelFile;
  readonly data: () => Promise<Uint8Array>;
}

/** Starts the screen. */
export function startMeasure(models: readonly ModelFile[], ways: readonly Way[]): void {
  const screen = new MeasureScreen(ways);
  for (const model of models) {
    screen.offer(
      { name: model.file, bytes: model.bytes, model, data: () => contents(model.file) },
      model.form,
    );
  }
  const take = (file: File | undefined) => {
    if (file) screen.take(file);
  };
  const open = element<HTMLInputElement>("open-file");
  open.addEventListener("change", () => {
    take(open.files?.[0]);
    open.value = "";
  });
  const plan = element<HTMLFormElement>("plan");
  plan.addEventListener("dragover", (event) => event.preventDefault());
  plan.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer?.files[0]);
  });
  plan.addEventListener("submit", (event) => {
    event.preventDefault();
    void screen.measure().catch(complain);
  });
  element("stop").addEventListener("click", () => screen.stop("You stopped it."));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) screen.stop(IN_BACKGROUND);
  });
  element("copy").addEventListener("click", () => void screen.copy().catch(complain));
}

class MeasureScreen {
  private readonly subjects: [Subject, HTMLInputElement][] = [];
  private readonly ways: [Way, HTMLInputElement][];
  private results: Result[] = [];
  private engine: Engine | undefined;
  private stopped: string | undefined;

  constructor(ways: readonly Way[]) {
    this.ways = ways.map((way) => {
      const [label, input] = choice("checkbox", "way", way.name);
      input.checked = true;
      element("accelerators").append(label);
      return [way, input];
    });
  }

  /** Shows a file to choose. */
  offer(subject: Subject, form: string): void {
    const [label, input] = choice(
      "checkbox",
      "file",
      `${subject.name}, ${form}, ${bytes(subject.bytes)}`,
    );
    input.checked = true;
    element("files").append(label);
    this.subjects.push([subject, input]);
  }

  /** Takes a file that somebody opened. */
  take(file: File): void {
    if (file.size > MOST_BYTES) {
      complain(
        new Error(
          `'${file.name}' has ${bytes(file.size)}; at most ${bytes(MOST_BYTES)} are taken.`,
        ),
      );
      return;
    }
    const data = async () => new Uint8Array(await file.arrayBuffer());
    this.offer({ name: file.name, bytes: file.size, data }, "yours");
  }

  stop(why: string): void {
    if (!this.engine) return;
    this.stopped = why;
    this.engine.end(why);
  }

  async copy(): Promise<void> {
    const written = text(this.results);
    try {
      await navigator.clipboard.writeText(written);
      element("written").hidden = true;
      element("progress").textContent = "The results were copied.";
    } catch {
      // Pages that came by plain HTTP from another device have no clipboard.
      const shown = element<HTMLTextAreaElement>("written");
      shown.value = written;
      shown.hidden = false;
      shown.select();
      element("progress").textContent =
        "This browser does not let the page copy. The results are selected below: copy them there.";
    }
  }

  /** Measures each chosen file in each chosen way. */
  async measure(): Promise<void> {
    if (this.engine) return;
    forget();
    const subjects = this.subjects.filter(([, input]) => input.checked);
    const ways = this.ways.filter(([, input]) => input.checked);
    if (subjects.length === 0 || ways.length === 0) {
      throw new Error("Choose at least one file, and one way to run it.");
    }
    this.results = [];
    this.stopped = undefined;
    element("results").querySelector("tbody")?.replaceChildren();
    busy(true);
    for (const [subject] of subjects) {
      for (const [way] of ways) {
        if (this.stopped) break;
        element("progress").textContent = `Measuring ${subject.name} by ${way.name} …`;
        this.show(await this.measured(subject, way));
      }
    }
    busy(false);
    const failed = this.results.filter(({ message }) => message !== undefined).length;
    element("progress").textContent =
      this.stopped ?? `Done: ${this.results.length - failed} measured, ${failed} failed.`;
  }

  /** Measures a file in a worker of its own, so that one that breaks costs one result. */
  private async measured(subject: Subject, way: Way): Promise<Result> {
    const engine = (this.engine = new Engine());
    const known = {
      file: subject.name,
      bytes: subject.bytes,
      downloadBytes: subject.model?.download_bytes,
      sha256: subject.model?.sha256 ?? "",
      way,
    };
    try {
      const { file, sha256 } = await opened(engine, this.unlessStopped(await subject.data()));
      const { variant, accelerator, threads } = way;
      const loaded = await engine.ask("load", { file, variant, accelerator, threads });
      const rows = this.unlessStopped(await rowsFor(subject, loaded));
      const timed = await engine.ask("time", {
        inputs: rows.inputs[0],
        warmup: number("warmup"),
        runs: number("runs"),
      });
      return {
        ...known,
        sha256,
        deviceBytes: file.length,
        notes: notes(way, loaded, rows),
        times: times(loaded.milliseconds, timed.first, timed.times),
        agreement: await agreed(engine, loaded, rows),
      };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { ...known, deviceBytes: undefined, notes: [], message };
    } finally {
      engine.end();
      this.engine = undefined;
    }
  }

  /** An ended worker does not know that it must not start anew. */
  private unlessStopped<Value>(value: Value): Value {
    if (this.stopped) throw new Error(this.stopped);
    return value;
  }

  private show(result: Result): void {
    this.results.push(result);
    const row = made("tr");
    const { times: found, message } = result;
    const head = made("th", result.file);
    head.scope = "row";
    head.append(made("small", result.way.name));
    row.append(head);
    if (found) {
      const numbers = [found.first_us, found.median_us, found.p95_us];
      row.append(...numbers.map((one) => made("td", milliseconds(one))));
      const classes = result.agreement?.[0]?.[1].argmax;
      row.append(
        made("td", classes === undefined ? "not compared" : `${(100 * classes).toFixed(2)} %`),
      );
    } else {
      const cell = made("td", message);
      cell.colSpan = NUMBERS;
      row.append(cell);
    }
    element("results").querySelector("tbody")?.append(row);
    element("found").hidden = false;
    element("export").hidden = false;
    const link = element<HTMLAnchorElement>("download");
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([text(this.results)], { type: "application/json" }));
  }
}

function busy(isBusy: boolean): void {
  element<HTMLButtonElement>("start").disabled = isBusy;
  element<HTMLButtonElement>("stop").disabled = !isBusy;
}

/** Rows of inputs, and the outputs of LiteRT on a computer, where they are known. */
interface Rows {
  readonly inputs: readonly (readonly Float32Array[])[];
  readonly outputs: readonly Float32Array[] | undefined;
}

async function rowsFor({ model }: Subject, { inputs, outputs }: Loaded): Promise<Rows> {
  if (!model?.reference) {
    const sizes = inputs.map(({ shape }) => size(shape));
    if (sizes.reduce((sum, one) => sum + one, 0) * FLOAT_BYTES > MOST_BYTES) {
      throw new Error(`${sizes.length} inputs of this size are too large for this page.`);
    }
    return { inputs: [sizes.map(noise)], outputs: undefined };
  }
  const held = new Float32Array((await contents(model.reference)).buffer);
  const [taken, given] = [size(inputs[0].shape), size(outputs[0].shape)];
  const count = held.length / (taken + given);
  if (!Number.isInteger(count)) throw new Error(`'${model.reference}' is for another network.`);
  const part = (start: number, length: number, at: number) =>
    held.slice(start + at * length, start + (at + 1) * length);
  const numbers = [...Array(count).keys()];
  return {
    inputs: numbers.map((at) => [part(0, taken, at)]),
    outputs: numbers.map((at) => part(count * taken, given, at)),
  };
}

async function agreed(
  engine: Engine,
  { outputs }: Loaded,
  rows: Rows,
): Promise<[string, Agreement][]> {
  if (!rows.outputs) return [];
  const found: Float32Array[] = [];
  for (const inputs of rows.inputs) {
    found.push((await engine.ask("run", { inputs })).outputs[0]);
  }
  return [[outputs[0].name, agreement(found, rows.outputs, outputs[0].shape)]];
}

function notes({ accelerator }: Way, { isWhole }: Loaded, { outputs }: Rows): string[] {
  const found: string[] = [];
  if (accelerator !== "wasm" && !isWhole) {
    found.push("The accelerator did not take all of the network: the rest ran on the CPU.");
  }
  if (!outputs) found.push("Inputs were random numbers, and outputs were not compared.");
  return found;
}

/** Three digits of a time in microseconds. */
function milliseconds(time: number): string {
  const found = time / 1000;
  return found.toFixed(found < 10 ? 2 : found < 100 ? 1 : 0);
}

function noise(length: number): Float32Array {
  return Float32Array.from({ length }, () => Math.random());
}

function size(shape: readonly number[]): number {
  const found = shape.reduce((product, length) => product * length, 1);
  if (found > 0 && found * FLOAT_BYTES <= MOST_BYTES) return found;
  throw new Error(`An input of the shape ${shape.join(" × ")} is too large for this page.`);
}

function number(id: string): number {
  const input = element<HTMLInputElement>(id);
  const least = Number(input.min);
  return Math.min(Number(input.max), Math.max(least, Math.round(Number(input.value)) || least));
}
