/** The bundled files, as `tools/web/models.py` and `fr-keras serve` describe them. */

const FORMAT = "fr-keras-models";
const VERSION = 1;

/** A network of lower capacity that a beginning of an archive holds. */
export interface Capacity {
  /** The share of the coefficients of each tensor. */
  readonly share: number;
  /** With how many bytes they are there. */
  readonly bytes: number;
}

/** Pixels from 0 to 255 become inputs as `pixel * scale + offset`. */
export interface Normalization {
  readonly scale: number;
  readonly offset: number;
}

export interface ModelFile {
  readonly file: string;
  readonly task: "digits" | "segmentation" | "other";
  /** Of a row of its input. */
  readonly shape: readonly number[];
  /** How it is packed, such as `archive, int8`. */
  readonly form: string;
  readonly bytes: number;
  /** Of a download, gzipped where that is smaller. */
  readonly download_bytes: number;
  /** Of the flatbuffer that runs. */
  readonly sha256: string;
  /** The file with rows and the outputs of LiteRT on a computer, or nothing. */
  readonly reference?: string;
  readonly labels: readonly string[];
  readonly normalization: Normalization | null;
  /** Of an archive, from the smallest to the whole. */
  readonly capacities: readonly Capacity[];
}

/** Returns the files of the page. */
export async function catalog(): Promise<readonly ModelFile[]> {
  const held = (await (await fetched("models/index.json")).json()) as {
    format?: string;
    version?: number;
    files: ModelFile[];
  };
  if (held.format !== FORMAT || held.version !== VERSION) {
    throw new Error(`'models/index.json' must be ${FORMAT} of version ${VERSION}.`);
  }
  return held.files;
}

/** Returns a file of the folder `models`. */
export async function contents(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await fetched(`models/${encodeURIComponent(name)}`)).arrayBuffer());
}

/**
 * Fetches a file of the folder `models` piece by piece.
 *
 * @param arrived Is called with all bytes that are there, after each piece.
 * @param bytesASecond Shows them no faster than this; the network itself may be faster.
 */
export async function streamed(
  name: string,
  arrived: (bytes: Uint8Array<ArrayBuffer>) => void,
  bytesASecond = Number.POSITIVE_INFINITY,
): Promise<void> {
  const response = await fetched(`models/${encodeURIComponent(name)}`);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let all = new Uint8Array(0);
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    for (const part of parts(piece.value, bytesASecond / PARTS_A_SECOND)) {
      const grown = new Uint8Array(all.length + part.length);
      grown.set(all);
      grown.set(part, all.length);
      all = grown;
      arrived(all);
      if (bytesASecond < Number.POSITIVE_INFINITY) await pause(1000 / PARTS_A_SECOND);
    }
  }
}

const PARTS_A_SECOND = 10;

function parts(bytes: Uint8Array, most: number): Uint8Array[] {
  if (bytes.length <= most) return [bytes];
  const size = Math.max(1, Math.floor(most));
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => {
    return bytes.subarray(at * size, (at + 1) * size);
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

async function fetched(path: string): Promise<Response> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`'${path}' cannot be fetched: ${response.status}.`);
  return response;
}
