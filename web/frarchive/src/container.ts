import { crc32 } from "./checksum.js";
import { ArchiveError } from "./errors.js";
import { RangeDecoder } from "./rangedecoder.js";

export const HEADER_BYTES = 8;
const LONGEST_VARINT = 4;
const VERSIONS = [1, 2];
const MAGIC = [0xf7, 0x46, 0x52];

/** What a section holds, by its code. Sections come in this order; 4 to 6 are skipped. */
export const Kind = { architecture: 0, vectors: 1, skeleton: 2, kernels: 3, coefficients: 7 };

/** A section: its payload, and where that begins in the file. */
export class Section {
  constructor(
    readonly payload: Uint8Array,
    readonly start: number,
    /** How long the file says the payload is; it is longer than `payload` where that is cut. */
    readonly size: number,
  ) {}

  decoder(): RangeDecoder {
    return new RangeDecoder(this.payload, this.start, this.payload.length < this.size);
  }
}

/**
 * Reads the frame of a file.
 *
 * @param cut Accepts a file that ends within its coefficients; its checksum is then not tested.
 * @returns The sections, by code.
 */
export function readSections(data: Uint8Array, cut = false): Map<number, Section> {
  const given = MAGIC.slice(0, data.length);
  if (given.some((byte, at) => data[at] !== byte) || (data.length < HEADER_BYTES && !cut)) {
    throw new ArchiveError("This is no .fr archive: it must begin with F7 46 52 and 5 bytes", 0);
  }
  const version = data[3];
  if (data.length > 3 && !VERSIONS.includes(version)) {
    throw new ArchiveError(`Only versions 1 and 2 of the format are known, not ${version}`, 3);
  }
  if (!cut) checkSum(data);
  const sections = split(data, cut);
  const last = sections.get(Kind.coefficients);
  if (cut && last?.payload.length === last?.size) checkSum(data);
  if (!sections.has(Kind.architecture)) {
    throw new ArchiveError("The architecture must come first", HEADER_BYTES);
  }
  if ((version === 2) !== sections.has(Kind.kernels)) {
    throw new ArchiveError("A file has version 2 if it holds kernels in space, else 1", 3);
  }
  return sections;
}

function split(data: Uint8Array, cut: boolean): Map<number, Section> {
  const sections = new Map<number, Section>();
  const kinds = Object.values(Kind);
  let position = HEADER_BYTES;
  let last = -1;
  while (last !== Kind.coefficients) {
    const begin = position;
    const [head, start] = readHead(data, begin);
    const code = head & 7;
    const size = head >> 3;
    if (code <= last) {
      throw new ArchiveError(`Section ${code} must not follow section ${last}`, begin);
    }
    last = code;
    position = start + size;
    if (position > data.length && !(cut && code === Kind.coefficients)) {
      throw new ArchiveError(`Section ${code} ends too early: the file is cut`, data.length);
    }
    const payload = data.subarray(start, position);
    if (kinds.includes(code)) sections.set(code, new Section(payload, start, size));
  }
  if (position < data.length) {
    throw new ArchiveError("Nothing may follow the coefficients", position);
  }
  return sections;
}

/** The varint in front of a section, eight times its length plus its kind, and where it ends. */
function readHead(data: Uint8Array, begin: number): [number, number] {
  let number = 0;
  for (let place = 0; place < LONGEST_VARINT; place++) {
    if (begin + place >= data.length) {
      throw new ArchiveError("The file is cut before the coefficients", data.length);
    }
    const byte = data[begin + place];
    number |= (byte & 127) << (7 * place);
    if (byte < 128) {
      if (place > 0 && byte === 0) break;
      return [number, begin + place + 1];
    }
  }
  throw new ArchiveError("A section must begin with its kind and length in fewest bytes", begin);
}

function checkSum(data: Uint8Array): void {
  const expected = ((data[4] << 24) | (data[5] << 16) | (data[6] << 8) | data[7]) >>> 0;
  if (crc32(data, HEADER_BYTES) !== expected) {
    throw new ArchiveError("The checksum is wrong: the file is damaged", 4);
  }
}
