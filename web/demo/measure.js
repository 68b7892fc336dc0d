/** Measures the files of a page in a headless Chromium: `node measure.js PAGE OUT RUNS`. */
import { chromium } from "playwright-core";
import { serve } from "./test/server.js";

const LONGEST = 1_800_000;
const [page, out, runs] = process.argv.slice(2);

const server = await serve(page, true);
const executablePath = process.env.CHROMIUM;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const tab = await browser.newPage();
  tab.setDefaultTimeout(LONGEST);
  await tab.goto(server.address);
  await tab.click("#tab-measure");
  await tab.waitForSelector("#accelerators label");
  await tab.fill("#runs", runs);
  await tab.click("#start");
  const isDone = () => /^Done/.test(document.getElementById("progress").textContent);
  await tab.waitForFunction(isDone);
  const download = tab.waitForEvent("download");
  await tab.click("#download");
  await (await download).saveAs(out);
} finally {
  await browser.close();
  await server.end();
}
