/** What this browser has. */
import { supportsFeature } from "@litertjs/core";
import type { Accelerator, Variant } from "./protocol.js";

/** A way to run a network here. */
export interface Way {
  readonly name: string;
  readonly accelerator: Accelerator;
  readonly variant: Variant;
  readonly threads: number;
}

/** A module of WebAssembly whose only function type gives a vector of SIMD. */
const WITH_VECTORS = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b]);

export interface Capabilities {
  readonly ways: readonly Way[];
  /** Sentences on what there is and what is missing. */
  readonly facts: readonly string[];
}

/** Looks what there is, without loading a runtime. */
export async function capabilities(): Promise<Capabilities> {
  if (typeof WebAssembly !== "object") {
    throw new Error("This browser has no WebAssembly, so no network can run here.");
  }
  if (!WebAssembly.validate(WITH_VECTORS)) {
    throw new Error(
      "The WebAssembly of this browser has no SIMD, which every build of the runtime needs, so " +
        "no network can run here. A newer browser or device may have it.",
    );
  }
  const ways: Way[] = [
    { name: "WebAssembly, 1 thread", accelerator: "wasm", variant: "plain", threads: 1 },
  ];
  const facts = [await threads(ways), await webGpu(ways), await webNn(ways)];
  const hasSimd = await supportsFeature("relaxedSimd");
  if (!hasSimd) facts.unshift("No relaxed SIMD, so a slower build of the runtime is used.");
  return { ways, facts };
}

async function threads(ways: Way[]): Promise<string> {
  if (!self.crossOriginIsolated) {
    return (
      "One thread: the server does not isolate this page, or it came by HTTP from another " +
      "device. By HTTPS with the headers for it, or on the computer that serves it, there are more."
    );
  }
  const isReady = (await supportsFeature("threads")) && (await supportsFeature("relaxedSimd"));
  if (!isReady) return "One thread: the browser has no WebAssembly threads with relaxed SIMD.";
  const cores = navigator.hardwareConcurrency;
  const name = `WebAssembly, ${cores} threads`;
  if (cores > 1) ways.push({ name, accelerator: "wasm", variant: "threaded", threads: cores });
  return `Threads: ${cores}.`;
}

async function webGpu(ways: Way[]): Promise<string> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<object | null> } };
  const adapter = await gpu?.requestAdapter().catch(() => null);
  if (!self.isSecureContext) return "No WebGPU, for the page came by plain HTTP.";
  if (!adapter) return "No WebGPU.";
  ways.push({ name: "WebGPU", accelerator: "webgpu", variant: "plain", threads: 1 });
  return "WebGPU.";
}

async function webNn(ways: Way[]): Promise<string> {
  if (!("ml" in navigator) || !(await supportsFeature("jspi"))) return "No WebNN.";
  ways.push({ name: "WebNN", accelerator: "webnn", variant: "jspi", threads: 1 });
  return "WebNN.";
}
