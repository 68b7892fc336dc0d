import { CanonicalJson, JsonError } from "./canonicaljson.js";
import type { Section } from "./container.js";
import { DICTIONARY } from "./dictionary.js";
import { decompress } from "./lz.js";

const MOST_TEXT = 2 ** 21;

/**
 * Which network the numbers of an archive belong to, as canonical JSON. Nothing in it can run.
 *
 * A reference has the name of a network that a reader knows, as `lenet5`, and a JSON object of its
 * arguments, as `{"batch_norm":true}`. A configuration is one JSON object.
 */
export type Architecture =
  | { readonly kind: "reference"; readonly name: string; readonly arguments: string }
  | { readonly kind: "config"; readonly json: string };

/** Reads the section of the architecture. */
export function readArchitecture(section: Section): Architecture {
  const decoder = section.decoder();
  const dictionary = new TextEncoder().encode(DICTIONARY);
  const text = decompress(decoder, MOST_TEXT, dictionary);
  try {
    return parsed(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text));
  } catch (error) {
    if (error instanceof JsonError) {
      throw decoder.refused(`The architecture is refused: ${error.message}`);
    }
    if (error instanceof TypeError) {
      throw decoder.refused("The architecture is refused: it is no UTF-8");
    }
    throw error;
  }
}

function parsed(text: string): Architecture {
  const json = new CanonicalJson(text);
  if (text.startsWith("{")) {
    json.value();
    json.end();
    return { kind: "config", json: text };
  }
  json.token("[");
  const name = json.string();
  json.token(",");
  const begin = json.position;
  if (name === "" || !text.startsWith("{", begin)) {
    throw new JsonError("an architecture is [name, {arguments}] with a name, or an object");
  }
  json.value(2);
  const end = json.position;
  json.token("]");
  json.end();
  return { kind: "reference", name, arguments: text.slice(begin, end) };
}
