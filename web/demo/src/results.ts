/** The result file of `fr-keras benchmark`. */
import type { Way } from "./capabilities.js";
import type { Agreement, Times } from "./statistics.js";

const FORMAT = "fr-keras-benchmark";
const VERSION = 1;
const TOOL = "LiteRT.js 2.5.3";
/** The delegates of `fr-keras benchmark`. */
const DELEGATES = { wasm: "xnnpack", webgpu: "gpu", webnn: "npu" };

/** One file, run in one way. */
export interface Result {
  readonly file: string;
  readonly bytes: number;
  readonly downloadBytes: number | undefined;
  readonly deviceBytes: number | undefined;
  readonly sha256: string;
  readonly way: Way;
  readonly notes: readonly string[];
  readonly times?: Times;
  readonly agreement?: readonly (readonly [string, Agreement])[];
  /** Why there are no times. */
  readonly message?: string;
}

/** Returns the text of a result file. */
export function text(results: readonly Result[]): string {
  const held = { format: FORMAT, version: VERSION, results: results.map(entry) };
  return `${JSON.stringify(held, undefined, 1)}\n`;
}

function entry(one: Result): object {
  const { agreement, message, notes, way } = one;
  return {
    file: one.file,
    bytes: one.bytes,
    sha256: one.sha256,
    target: "browser",
    device: device(),
    tool: TOOL,
    delegate: DELEGATES[way.accelerator],
    status: message === undefined ? "done" : "failed",
    threads: way.threads,
    message,
    notes: notes.length > 0 ? notes : undefined,
    times: one.times,
    agreement: agreement && agreement.length > 0 ? Object.fromEntries(agreement) : undefined,
    download_bytes: one.downloadBytes,
    device_bytes: one.deviceBytes,
  };
}

interface Brands {
  readonly brands: readonly { readonly brand: string; readonly version: string }[];
  readonly platform: string;
}

/** What the browser tells about itself and the device. */
function device(): object {
  const { userAgentData } = navigator as { userAgentData?: Brands };
  const brand = userAgentData?.brands.find(({ brand }) => !/not.a.brand/i.test(brand));
  return {
    name: brand ? `${brand.brand} ${brand.version}` : browserOf(navigator.userAgent),
    os: userAgentData?.platform || navigator.platform || "unknown",
    cores: navigator.hardwareConcurrency,
    isolated: self.crossOriginIsolated ? "yes" : "no",
  };
}

/** The browser in a text in which each names all others. */
function browserOf(agent: string): string {
  const names = [/Firefox\/\d+/, /Edg\/\d+/, /Chrome\/\d+/, /Version\/\d+/];
  const found = names.map((name) => name.exec(agent)?.[0]).find((one) => one !== undefined);
  return found?.replace("Version", "Safari").replace("/", " ") ?? "browser";
}
