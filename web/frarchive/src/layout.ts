import { ArchiveError } from "./errors.js";
import { partBytes } from "./filling.js";
import type { Program, Site } from "./program.js";

/** Where the gaps of a file are, and the words between them. */
export class Layout {
  private readonly template: DataView;
  /** Of each gap, its first word, the word behind it, and the words in the gaps before it. */
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  private readonly inside: number[] = [0];

  constructor(
    private readonly program: Program,
    shapes: readonly (readonly number[])[],
  ) {
    const { template, words } = program;
    this.template = new DataView(template.buffer, template.byteOffset, template.length);
    let end = 0;
    for (const gap of program.gaps) {
      const site = program.sites[gap.site];
      const start = end + gap.skipped;
      end = start + partBytes(gap.part, shapes[site.kernel], site.byChannel) / 4;
      if (end > words) {
        throw new ArchiveError(
          `Gaps follow one another inside of the ${words} words of a file, not up to ${end}`,
        );
      }
      this.starts.push(start);
      this.ends.push(end);
      this.inside.push(this.wordsInside + end - start);
    }
    const kept = words - this.wordsInside;
    if (template.length !== 4 * kept) {
      throw new ArchiveError(
        `A skeleton with these gaps has ${kept} words outside of them, ` +
          `not ${template.length} bytes`,
      );
    }
  }

  /** The bytes that fill all gaps. */
  get partBytes(): number {
    return 4 * this.wordsInside;
  }

  /** The scale of the input of a site. */
  scale({ scaleAt }: Site): number {
    if (scaleAt < 0 || scaleAt >= this.program.words) {
      throw new ArchiveError(`The scale of a site is outside of the file, at ${scaleAt}`);
    }
    const gap = this.starts.findLastIndex((start) => start <= scaleAt);
    const isKept = gap < 0 || scaleAt >= this.ends[gap];
    const scale = isKept ? float(this.kept(scaleAt, this.inside[gap + 1])) : 0;
    if (scale > 0 && scale < Infinity) return scale;
    throw new ArchiveError(`The scale of the input of a kernel must be above 0, not ${scale}`);
  }

  /** The file, of which `data` are the gaps. */
  file(data: readonly Uint8Array[]): Uint8Array {
    const bytes = new Uint8Array(4 * this.program.words);
    const view = new DataView(bytes.buffer);
    let word = 0;
    for (let gap = 0; gap <= data.length; gap++) {
      const start = this.starts[gap] ?? this.program.words;
      for (; word < start; word++) view.setInt32(4 * word, this.kept(word, this.inside[gap]), true);
      if (gap === data.length) break;
      bytes.set(data[gap], 4 * word);
      word = this.ends[gap];
    }
    return bytes;
  }

  /** A word of the template, turned back: by these, the tables of a flatbuffer point. */
  private kept(word: number, gapWords: number): number {
    const stored = this.template.getInt32(4 * (word - gapWords), true);
    const size = 4 * this.program.words;
    if (stored < -size || stored >= 0) return stored;
    const turned = (1 + stored - 4 * word) % size;
    return -1 - (turned < 0 ? turned + size : turned);
  }

  private get wordsInside(): number {
    return this.inside[this.inside.length - 1];
  }
}

function float(bits: number): number {
  return new Float32Array(Int32Array.of(bits).buffer)[0];
}
