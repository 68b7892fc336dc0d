/** The page. */
import { capabilities } from "./capabilities.js";
import { catalog, type ModelFile } from "./catalog.js";
import { startDraw } from "./draw.js";
import { Engine } from "./engine.js";
import { startMeasure } from "./measure.js";
import { Network } from "./network.js";
import { complain, element, startTabs } from "./page.js";
import { startSegment } from "./segment.js";

async function start(): Promise<void> {
  startTabs();
  const [{ ways, facts }, models] = await Promise.all([capabilities(), catalog()]);
  element("device").textContent = facts.join(" ");
  startMeasure(models, ways);
  const digits = models.find(({ task }) => task === "digits");
  const sized = firstOfEachSize(models.filter(({ task }) => task === "segmentation"));
  if (digits) {
    const engine = new Engine();
    startDraw(engine, new Network(engine, ways[0]), digits);
  } else element("tab-draw").hidden = true;
  if (sized.length > 0) {
    const engine = new Engine();
    startSegment(engine, new Network(engine, ways[0]), sized);
  } else element("tab-segment").hidden = true;
  if (!digits) element(sized.length > 0 ? "tab-segment" : "tab-measure").click();
}

/** The first network of each size, from the largest pictures to the smallest. */
function firstOfEachSize(models: readonly ModelFile[]): ModelFile[] {
  const found = new Map<number, ModelFile>();
  for (const one of models) {
    if (!found.has(one.shape[0])) found.set(one.shape[0], one);
  }
  return [...found.values()].sort((one, other) => other.shape[0] - one.shape[0]);
}

// Offline, where the browser lets a page do so: one that came by HTTPS or from this computer.
void navigator.serviceWorker?.register("service.js").catch(() => undefined);
void start().catch(complain);
