import { ArchiveError } from "./errors.js";
import { Evaluator } from "./evaluator.js";
import { Filling } from "./filling.js";
import { Layout } from "./layout.js";
import { type Part, PARTS, readProgram } from "./program.js";
import { readShapes } from "./shapes.js";
import type { Source } from "./source.js";

/** `TFL3`, little-endian, and the word of a file at which it is. */
const IDENTIFIER = 0x334c4654;
const IDENTIFIER_AT = 1;

/**
 * Returns the file of a skeleton, a flatbuffer without its numbers and the recipes that fill it.
 *
 * @param text The text of the skeleton.
 * @param source The numbers.
 * @param memory Refuses to hold more bytes of arrays than these.
 */
export function expandText(text: Uint8Array, source: Source, memory: number): Uint8Array {
  const program = readProgram(text);
  const shapes = readShapes(program, source);
  const layout = new Layout(program, shapes);
  const scales = program.sites.map((site) => layout.scale(site));
  const evaluator = new Evaluator(program, shapes, source);
  const needed = evaluator.peakBytes() + layout.partBytes + 4 * program.words;
  if (needed > memory) {
    throw new ArchiveError(
      `This archive takes ${needed} bytes of memory to expand. \`memory\` allows ${memory}`,
    );
  }
  const wanted = program.sites.map(() => new Set<Part>());
  for (const gap of program.gaps) wanted[gap.site].add(gap.part);
  const parts: Map<Part, Uint8Array>[] = [];
  evaluator.run(({ site, kernel, bias }) => {
    const number = parts.length;
    const filling = new Filling(kernel, bias, scales[number], site.byChannel);
    const filled = PARTS.filter((part) => wanted[number].has(part));
    parts.push(new Map(filled.map((part) => [part, filling.data(part)])));
  });
  const data = program.gaps.map(({ site, part }) => parts[site].get(part) as Uint8Array);
  const file = layout.file(data);
  const words = new DataView(file.buffer);
  const end = 4 * (IDENTIFIER_AT + 1);
  if (file.length < end || words.getUint32(4 * IDENTIFIER_AT, true) !== IDENTIFIER) {
    throw new ArchiveError("What a skeleton makes is no TFLite flatbuffer");
  }
  return file;
}
