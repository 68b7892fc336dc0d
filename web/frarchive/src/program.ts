import { ArchiveError } from "./errors.js";

const SITE = 31;
const MOST_STEPS = 2 ** 14;
const MOST_NUMBERS = 2 ** 12;
const LONGEST_VARINT = 5;
const LARGEST = 2 ** 32 - 1;
/** The largest file that a skeleton makes, in words. */
const MOST_WORDS = 2 ** 24;

/** What a node does: its place here is its code in a file; with how many arrays it takes. */
export const OPS = [
  ["COEFFICIENTS", 0],
  ["VECTORS", 0],
  ["VARIANCES", 0],
  ["COSINES", 0],
  ["SCALAR", 0],
  ["SEGMENTS", 0],
  ["CONTRACT", 2],
  ["TRANSPOSE", 1],
  ["RESHAPE", 1],
  ["KRON", 2],
  ["ADD", 2],
  ["SUBTRACT", 2],
  ["MULTIPLY", 2],
  ["DIVIDE", 2],
  ["SQRT", 1],
  ["GATHER", 2],
  ["STARTS", 1],
  ["TILE", 1],
  ["CONCATENATE", 2],
  ["KERNEL", 0],
] as const;

export type Op = (typeof OPS)[number][0];

/** One operation on the arrays of earlier nodes, with whole numbers of its own. */
export interface Node {
  readonly op: Op;
  readonly inputs: readonly number[];
  readonly numbers: readonly number[];
}

/** An op with a kernel `(out, ...)`, a node, and a bias, a node or `undefined` for zeros. */
export interface Site {
  readonly op: "SITE";
  readonly kernel: number;
  readonly bias: number | undefined;
  /** The word of the file at which the scale of its input is, a float32. */
  readonly scaleAt: number;
  /** Whether each output channel has a scale of its own. */
  readonly byChannel: boolean;
}

export type Step = Node | Site;

/** What of a site's constants fills a gap; its place here is its code in a file. */
export const PARTS = ["kernel", "scales", "bias", "biasScales"] as const;

export type Part = (typeof PARTS)[number];

/** Words of the file that follow from a site, so many words behind the gap before. */
export interface Gap {
  readonly skipped: number;
  readonly site: number;
  readonly part: Part;
}

/** What a skeleton says. */
export interface Program {
  /** How many words the file has that it makes. */
  readonly words: number;
  readonly steps: readonly Step[];
  readonly sites: readonly Site[];
  readonly gaps: readonly Gap[];
  /** The words of that file that lie in no gap. */
  readonly template: Uint8Array;
}

export function isSite(step: Step): step is Site {
  return step.op === "SITE";
}

/** Reads the text of a skeleton. */
export function readProgram(text: Uint8Array): Program {
  return new ProgramReader(text).program();
}

class ProgramReader {
  private position = 0;
  private nodes = 0;

  constructor(private readonly text: Uint8Array) {}

  program(): Program {
    const { text } = this;
    const words = this.number(MOST_WORDS);
    const steps = this.steps();
    const sites = steps.filter(isSite);
    const gaps = this.gaps(sites.length);
    while (this.position % 4 !== 0 && this.position < text.length) {
      if (text[this.position++] !== 0) {
        throw this.refused("Zeros must follow the program of a skeleton up to a whole word");
      }
    }
    return { words, steps, sites, gaps, template: text.subarray(this.position) };
  }

  private steps(): Step[] {
    const steps: Step[] = [];
    let scaleAt = 0;
    for (let left = this.number(MOST_STEPS); left > 0; left--) {
      const code = this.number(SITE);
      if (code !== SITE) {
        steps.push(this.node(code));
        this.nodes++;
        continue;
      }
      const kernel = this.back(this.number());
      const distance = this.number();
      scaleAt += this.difference();
      const bias = distance === 0 ? undefined : this.back(distance);
      steps.push({ op: "SITE", kernel, bias, scaleAt, byChannel: this.number(1) === 1 });
    }
    return steps;
  }

  private node(code: number): Node {
    if (code >= OPS.length) throw this.refused(`A recipe has no operation ${code}`);
    const [op, taken] = OPS[code];
    const inputs = Array.from({ length: taken }, () => this.back(this.number()));
    const length = this.number(MOST_NUMBERS);
    return { op, inputs, numbers: Array.from({ length }, () => this.number()) };
  }

  private gaps(sites: number): Gap[] {
    let site = 0;
    return Array.from({ length: this.number(MOST_STEPS) }, (_, place) => {
      const skipped = this.number();
      site += this.difference();
      if (site < 0 || site >= sites) throw this.refused(`Gap ${place} belongs to no op: ${site}`);
      return { skipped, site, part: PARTS[this.number(PARTS.length - 1)] };
    });
  }

  /** The node that lies so far back. */
  private back(distance: number): number {
    if (distance >= 1 && distance <= this.nodes) return this.nodes - distance;
    throw this.refused(`A recipe points ${distance} back, outside of the skeleton`);
  }

  private difference(): number {
    const number = this.number();
    return number % 2 === 1 ? -(number + 1) / 2 : number / 2;
  }

  private number(most = LARGEST): number {
    let number = 0;
    let weight = 1;
    for (let place = 0; place < LONGEST_VARINT; place++) {
      if (this.position >= this.text.length) break;
      const byte = this.text[this.position++];
      number += (byte & 127) * weight;
      weight *= 128;
      if (byte < 128) {
        if ((place > 0 && byte === 0) || number > most) break;
        return number;
      }
    }
    throw this.refused(`A skeleton has no number up to ${most}`);
  }

  private refused(message: string): ArchiveError {
    return new ArchiveError(`${message}, at byte ${this.position} of its text`);
  }
}
