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
  const first = (task: ModelFile["task"]) => models.find((one) => one.task === task);
  const [digits, segmentation] = [first("digits"), first("segmentation")];
  if (digits) {
    const engine = new Engine();
    startDraw(engine, new Network(engine, ways[0]), digits);
  } else element("tab-draw").hidden = true;
  if (segmentation) {
    const engine = new Engine();
    startSegment(engine, new Network(engine, ways[0]), segmentation);
  } else element("tab-segment").hidden = true;
  if (!digits) element(segmentation ? "tab-segment" : "tab-measure").click();
}

// Offline, where the browser lets a page do so: one that came by HTTPS or from this computer.
void navigator.serviceWorker?.register("service.js").catch(() => undefined);
void start().catch(complain);
