const DEEPEST = 100;
const LONGEST_NUMBER = 32;
const MOST_WHOLE = { positive: "9223372036854775807", negative: "9223372036854775808" };
const SHORT_ESCAPES = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);
const NEED_ESCAPES = new Set(SHORT_ESCAPES.values());
const WHOLE = /^(?:0|-?[1-9][0-9]*)$/;
const REAL = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:e[+-][0-9]+)?$/;

/** A text that is not canonical JSON; says what is wrong. */
export class JsonError extends Error {}

/**
 * Checks that a text is JSON in its one canonical form: keys sorted by code point, no spaces, no
 * escape where none is needed, numbers as Python writes them. Keeps nothing but its place.
 */
export class CanonicalJson {
  /** The place that is read next. */
  position = 0;

  constructor(private readonly text: string) {}

  /** Reads a value that lies at `depth`, the outermost being 1. */
  value(depth = 1): void {
    if (depth > DEEPEST) throw this.refused(`it is more than ${DEEPEST} levels deep`);
    const first = this.peek();
    if (first === "{") this.entries(depth);
    else if (first === "[") this.items(depth);
    else if (first === '"') this.string();
    else if (first === "t") this.word("true");
    else if (first === "f") this.word("false");
    else if (first === "n") this.word("null");
    else this.number();
  }

  /** Reads one character. */
  token(character: string): void {
    if (this.peek() !== character) throw this.refused(`'${character}' is missing`);
    this.position++;
  }

  /** Checks that nothing follows. */
  end(): void {
    if (this.position !== this.text.length) throw this.refused("it does not end where it should");
  }

  /** Reads a string and returns what it stands for. */
  string(): string {
    this.token('"');
    let out = "";
    for (let character = this.peek(); character !== '"'; character = this.peek()) {
      this.position++;
      if (character === "\\") out += this.escape();
      else if (character < " ") throw this.refused("a control character must be escaped");
      else out += character;
    }
    this.position++;
    return out;
  }

  private entries(depth: number): void {
    this.token("{");
    if (this.skip("}")) return;
    let before: string | undefined;
    do {
      const key = this.string();
      if (before !== undefined && !isBefore(before, key)) {
        throw this.refused("its keys are not sorted");
      }
      before = key;
      this.token(":");
      this.value(depth + 1);
    } while (this.skip(","));
    this.token("}");
  }

  private items(depth: number): void {
    this.token("[");
    if (this.skip("]")) return;
    do this.value(depth + 1);
    while (this.skip(","));
    this.token("]");
  }

  private escape(): string {
    const letter = this.peek();
    this.position++;
    const short = SHORT_ESCAPES.get(letter);
    if (short !== undefined) return short;
    // Other control characters alone are written so, with small letters.
    const digits = this.text.slice(this.position, this.position + 4);
    const character = String.fromCharCode(Number.parseInt(digits, 16) || 0);
    const written = character.charCodeAt(0).toString(16).padStart(4, "0");
    const isNeeded = character < " " && !NEED_ESCAPES.has(character);
    if (letter !== "u" || digits !== written || !isNeeded) {
      throw this.refused("an escape is not needed");
    }
    this.position += 4;
    return character;
  }

  private number(): void {
    const begin = this.position;
    let end = begin;
    while (end < this.text.length && "+-.0123456789e".includes(this.text[end])) end++;
    this.position = end;
    const number = this.text.slice(begin, Math.min(end, begin + LONGEST_NUMBER));
    if (!isWhole(number) && !isReal(number)) {
      throw this.refused(`'${number}' is no number in its shortest form`);
    }
  }

  private word(word: string): void {
    if (!this.text.startsWith(word, this.position)) throw this.refused("a value is missing");
    this.position += word.length;
  }

  private skip(character: string): boolean {
    const isFound = this.peek() === character;
    if (isFound) this.position++;
    return isFound;
  }

  private peek(): string {
    if (this.position < this.text.length) return this.text[this.position];
    throw this.refused("it is cut");
  }

  private refused(message: string): JsonError {
    return new JsonError(`it is no canonical JSON, for ${message} (at character ${this.position})`);
  }
}

/** Whether a number is a whole one of 64 bits. */
function isWhole(number: string): boolean {
  if (!WHOLE.test(number)) return false;
  const isNegative = number.startsWith("-");
  const digits = isNegative ? number.slice(1) : number;
  const most = isNegative ? MOST_WHOLE.negative : MOST_WHOLE.positive;
  return digits.length < most.length || (digits.length === most.length && digits <= most);
}

/** Whether a number is a real one as Python writes it. */
function isReal(number: string): boolean {
  if (number.length >= LONGEST_NUMBER || !REAL.test(number)) return false;
  const real = Number(number);
  return Number.isFinite(real) && number === written(real);
}

/** Python's `repr`: the shortest digits, with an exponent below `1e-4` and from `1e16` on. */
function written(real: number): string {
  const sign = real < 0 || Object.is(real, -0) ? "-" : "";
  const [mantissa, power] = Math.abs(real).toExponential().split("e");
  const exponent = Number(power);
  if (exponent < -4 || exponent > 15) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  const digits = mantissa.replace(".", "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}

/** Whether `a` comes before `b` by code point; the order of strings is by UTF-16 unit. */
function isBefore(a: string, b: string): boolean {
  let place = 0;
  while (place < a.length && place < b.length && a[place] === b[place]) place++;
  if (place === a.length || place === b.length) return a.length < b.length;
  return rank(a.charCodeAt(place)) < rank(b.charCodeAt(place));
}

/** Surrogates stand for the code points above all others. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
