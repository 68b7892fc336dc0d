const POLYNOMIAL = 0xedb88320;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? POLYNOMIAL : 0);
  return rest;
});

/** Returns the CRC-32 of zlib and PNG of the bytes from `start` on. */
export function crc32(data: Uint8Array, start = 0): number {
  let crc = 0xffffffff;
  for (let at = start; at < data.length; at++) crc = TABLE[(crc ^ data[at]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
