import { type Architecture, readArchitecture } from "./architecture.js";
import { Kind, readSections, type Section } from "./container.js";
import { ArchiveError } from "./errors.js";
import { readKernels } from "./kernels.js";
import { decompress } from "./lz.js";
import { readTensors, readVectors } from "./series.js";
import { expandText } from "./skeleton.js";
import type { Source } from "./source.js";

const MOST_SKELETON_TEXT = 2 ** 22;

/** What the format allows: 2^25 numbers, what sorting takes, and a file of 2^26 bytes. */
export const MOST_MEMORY = 2 ** 29 + 2 ** 27;

/** What a `.fr` file holds: a network in kilobytes, which expands to a `.tflite` file. */
export interface Archive extends Source {
  /** Which network this is. */
  readonly architecture: Architecture;
  /** The section that {@link expand} reads, if the archive can be expanded. */
  readonly skeleton: Section | undefined;
}

/**
 * Reads an archive.
 *
 * Memory is taken for what is there, not for what a file declares: a byte of it may stand for 64
 * numbers, and the format bounds their count.
 *
 * @throws {@link ArchiveError} If it is no archive, or damaged, or not as a writer writes it.
 */
export function decode(data: Uint8Array): Archive {
  return read(readSections(data));
}

/**
 * Reads the first bytes of an archive: of each tensor, the first coefficients.
 *
 * They make a network of lower capacity. The checksum protects only the whole file, so damaged
 * bytes are not noticed.
 *
 * @throws {@link ArchiveError} If the bytes do not reach the coefficients, or are no archive.
 */
export function decodePrefix(data: Uint8Array): Archive {
  return read(readSections(data, true));
}

/**
 * Returns the `.tflite` file of an archive, byte for byte the one that `fr-keras unpack` writes.
 *
 * Whoever runs the file verifies it as a flatbuffer before, as every interpreter does that is
 * given a file it cannot trust: the format promises its numbers, not its tables.
 *
 * @param memory How many bytes the arrays of the expansion and the file may take; the archive
 *   itself takes four for each of its numbers. The format bounds both; a page may bound this one
 *   more closely.
 * @throws {@link ArchiveError} If there is no skeleton, or it makes no sense or takes too much.
 */
export function expand(archive: Archive, memory = MOST_MEMORY): Uint8Array {
  if (!archive.skeleton) {
    throw new ArchiveError(
      "An archive must have a skeleton to make a .tflite file: pack it with one",
    );
  }
  return expandText(skeletonText(archive.skeleton), archive, memory);
}

/** The text of a skeleton, which is compressed in an archive. */
export function skeletonText(section: Section): Uint8Array {
  return decompress(section.decoder(), MOST_SKELETON_TEXT, new Uint8Array(1));
}

function read(sections: Map<number, Section>): Archive {
  const vectors = sections.get(Kind.vectors);
  const kernels = sections.get(Kind.kernels);
  return {
    architecture: readArchitecture(sections.get(Kind.architecture) as Section),
    tensors: readTensors(sections.get(Kind.coefficients) as Section),
    vectors: vectors ? readVectors(vectors) : [],
    kernels: kernels ? readKernels(kernels) : [],
    skeleton: sections.get(Kind.skeleton),
  };
}
