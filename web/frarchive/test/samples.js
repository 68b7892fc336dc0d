import { crc32 } from "../dist/checksum.js";

/** The worked example of `docs/archive-format.md`. */
export const EXAMPLE = bytes(
  "F7 46 52 01 93 0F 48 FC 30 3D 02 22 5F A6 23 21 6E EA 95 50 57 4A 9F 7C A4 51 46 DB AD 82 6B",
);

/** The payload of a section of three kernels, of which the second has no rows. */
export const KERNELS = bytes(
  "3b ef 25 6e b7 27 f8 30 ee 57 f2 82 d8 00 00 00 00 00 00 00 00 00 00 00 00 00 00 2f 2f",
);

export function bytes(hexadecimal) {
  return Uint8Array.from(hexadecimal.split(" "), (byte) => Number.parseInt(byte, 16));
}

export function joined(...parts) {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A file with a right checksum. */
export function framed(body, version = 1) {
  const crc = crc32(body);
  const sum = [24, 16, 8, 0].map((shift) => (crc >>> shift) & 255);
  return joined(bytes("F7 46 52"), [version], sum, body);
}

export function section(kind, payload) {
  return joined(varint(8 * payload.length + kind), payload);
}

export function varint(number) {
  const out = [];
  for (let rest = number; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest];
    out.push((rest % 128) + 128);
  }
}
