/** The worker: whatever could take long, break or fill the memory happens here, not in the page. */
import { decode, decodePrefix, expand } from "frarchive";
import type { Expanded, Reply, Request, Tasks } from "./protocol.js";
import { load, run, time } from "./runtime.js";
import { sha256 } from "./sha256.js";

/** What an expansion may take; a phone kills a page that takes much more. */
const MEMORY = 256 * 2 ** 20;

type Handlers = {
  [Task in keyof Tasks]: (
    takes: Tasks[Task]["takes"],
  ) => Promise<Tasks[Task]["gives"]> | Tasks[Task]["gives"];
};

const HANDLERS: Handlers = {
  expand: expanded,
  hash: ({ file }) => sha256(file),
  load,
  run: ({ inputs }) => run(inputs),
  time,
};

/** One task follows another: a network must not run while another is loaded. */
let last: Promise<void> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<Request>) => {
  last = last.then(() => answer(data));
};

async function answer({ id, task, takes }: Request): Promise<void> {
  try {
    const gives = await HANDLERS[task](takes as never);
    self.postMessage({ id, gives } satisfies Reply);
  } catch (error) {
    self.postMessage({ id, problem: sentence(error) } satisfies Reply);
  }
}

function expanded({ data, isCut }: Tasks["expand"]["takes"]): Expanded {
  const file = expand(isCut ? decodePrefix(data) : decode(data), MEMORY);
  return { file: file as Uint8Array<ArrayBuffer>, sha256: sha256(file) };
}

function sentence(error: unknown): string {
  if (error instanceof Error && error.message) return error.message;
  return `The runtime stopped: ${String(error)}`;
}
