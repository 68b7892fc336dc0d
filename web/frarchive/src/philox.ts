const ROUNDS = 10;
const FACTORS = [0xd2e7470ee14c6c93n, 0xca5a826395121157n] as const;
const STEPS = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn] as const;
const MASK = 2n ** 64n - 1n;
const WORDS = 4;

/**
 * Returns the first words of Philox4x64-10 with a seed of 64 bits, whose counter begins at 1. The
 * generator is that of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2,
 * 3", SC 2011.
 */
export function philox(seed: bigint, count: number): BigUint64Array {
  const words = new BigUint64Array(Math.ceil(count / WORDS) * WORDS);
  const keys = Array.from({ length: ROUNDS }, (_, round) => [
    (seed + BigInt(round) * STEPS[0]) & MASK,
    (BigInt(round) * STEPS[1]) & MASK,
  ]);
  for (let at = 0; at < words.length; at += WORDS) {
    let [a, b, c, d] = [BigInt(at / WORDS + 1), 0n, 0n, 0n];
    for (const [first, second] of keys) {
      const p = FACTORS[0] * a;
      const q = FACTORS[1] * c;
      [a, b, c, d] = [(q >> 64n) ^ b ^ first, q & MASK, (p >> 64n) ^ d ^ second, p & MASK];
    }
    words.set([a, b, c, d], at);
  }
  return words.subarray(0, count);
}
