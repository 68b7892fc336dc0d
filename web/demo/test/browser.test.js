import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { cases, missing, WHOLE } from "../../frarchive/test/corpus.js";
import { serve } from "./server.js";

const { CHROMIUM, FR_KERAS_PAGE: PAGE, FR_KERAS_ODD: ODD } = process.env;
const skip = CHROMIUM && PAGE && ODD ? false : "there is no page and no browser: run `make web`";
const LONGEST = 120_000;
const OPTIONS = { skip, timeout: 4 * LONGEST };
const CORES = 2;
/** How many archives are handed to the page at once. */
const PART = 500;

let browser;
const problems = [];

before(async () => {
  if (!skip) browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});

after(() => browser?.close());

/** Opens the page; `isIsolated` says whether the server sends the headers that threads need. */
async function opened(context, { isIsolated = true, path = "", prepare = () => {} } = {}) {
  const server = await serve(PAGE, isIsolated);
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  context.after(async () => {
    await page.close();
    await server.end();
  });
  const foreign = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(server.address) && !url.startsWith("blob:")) foreign.push(url);
  });
  page.setDefaultTimeout(LONGEST);
  await page.addInitScript((cores) => {
    Object.defineProperty(Navigator.prototype, "hardwareConcurrency", { get: () => cores });
  }, CORES);
  await prepare(page);
  await page.goto(server.address + path);
  return { page, foreign };
}

/** Waits until the whole archive of the screen Draw is in use. */
async function whole(page) {
  const { capacities } = index().find((one) => one.task === "digits" && one.capacities.length > 0);
  await page.waitForFunction(
    (count) => document.querySelectorAll("#capacities input").length === count,
    capacities.length,
  );
  await page.waitForSelector("#capacities label:last-child input:checked");
}

function index() {
  return JSON.parse(readFileSync(`${PAGE}/models/index.json`, "utf8")).files;
}

function shot(page, name) {
  return page.screenshot({ path: `${PAGE}/../${name}.png`, fullPage: true });
}

async function noProblem(page) {
  assert.equal(await page.textContent("#problem"), "");
  assert.deepEqual(problems, []);
}

test("a 7 that is drawn with the pointer is known", OPTIONS, async (context) => {
  const { page, foreign } = await opened(context);
  await whole(page);
  const box = await page.locator("#pad").boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(0.25, 0.2));
  await page.mouse.down();
  await page.mouse.move(...at(0.75, 0.2), { steps: 8 });
  await page.mouse.move(...at(0.45, 0.85), { steps: 12 });
  await page.mouse.up();
  await page.waitForSelector("#guesses li");
  assert.match(await page.textContent("#guess"), /^This is 7/);
  await shot(page, "draw-1200");
  await page.setViewportSize({ width: 390, height: 844 });
  await shot(page, "draw-390");
  assert.deepEqual(foreign, []);
  await noProblem(page);
});

test("the keyboard draws, and shows other screens", OPTIONS, async (context) => {
  const { page } = await opened(context);
  await whole(page);
  await page.focus("#pad");
  for (const key of ["ArrowUp", "ArrowUp", " ", ...Array(8).fill("ArrowDown"), " "]) {
    await page.keyboard.press(key);
  }
  await page.waitForSelector("#guesses li");
  await page.click("#clear");
  await page.waitForSelector("#guesses li", { state: "detached" });
  await page.focus("#tab-draw");
  await page.keyboard.press("ArrowRight");
  assert.ok((await page.isVisible("#segment")) && !(await page.isVisible("#draw")));
  await noProblem(page);
});

test("screens that no network fits are skipped by the keyboard, too", OPTIONS, async (context) => {
  const prepare = (page) =>
    page.route("**/models/index.json", async (route) => {
      const held = await (await route.fetch()).json();
      const files = held.files.map((one) => ({ ...one, task: "other" }));
      await route.fulfill({ json: { ...held, files } });
    });
  const { page } = await opened(context, { prepare });
  await page.waitForSelector("#files label");
  await page.focus("#tab-measure");
  for (const key of ["ArrowRight", "ArrowLeft", "Home", "End"]) {
    await page.keyboard.press(key);
    assert.ok((await page.isVisible("#measure")) && !(await page.isVisible("#draw")), key);
  }
  await noProblem(page);
});

test("each capacity is usable as soon as its bytes are there", OPTIONS, async (context) => {
  const { page } = await opened(context);
  await whole(page);
  await page.click("#example");
  await page.waitForSelector("#guesses li");
  await page.click("#slowly");
  await page.waitForFunction(() => document.querySelectorAll("#capacities input").length === 1);
  const arrived = await page.textContent("#bytes");
  assert.doesNotMatch(arrived, /^([\d,]+) of \1 bytes/);
  await page.waitForFunction(() => document.querySelector("#capacities input:checked"));
  assert.match(await page.textContent("#guess"), /^This is \d/);
  await whole(page);
  await noProblem(page);
});

test("a picture of one's own is segmented, and stays here", OPTIONS, async (context) => {
  const { page, foreign } = await opened(context);
  await page.click("#tab-segment");
  await page.click("#shapes");
  await page.waitForFunction(() =>
    document.getElementById("segmented").textContent.startsWith("Found"),
  );
  assert.match(await page.textContent("#segmented"), /^Found: shape,/);
  const share = Number(/on (\d+) %/.exec(await page.textContent("#segmented"))[1]);
  // The shapes cover about a fifth of the picture.
  assert.ok(share > 5 && share < 50, `${share} %`);
  assert.match(await page.textContent("#segment-report"), /sees 256 × 256 pixels/);
  await shot(page, "segment-1200");
  await page.check("#sides label:last-child input");
  await seen(page, 64);
  assert.match(await page.textContent("#segmented"), /^Found: shape,/);
  await page.setViewportSize({ width: 390, height: 844 });
  await shot(page, "segment-390");
  const png = Buffer.from(
    await page.evaluate(() => document.getElementById("photo").toDataURL().split(",")[1]),
    "base64",
  );
  await page.setInputFiles("#open-picture", {
    name: "own.png",
    mimeType: "image/png",
    buffer: png,
  });
  await page.waitForFunction(() =>
    document.getElementById("segmented").textContent.startsWith("Found"),
  );
  await noProblem(page);
  const text = { name: "text.png", mimeType: "image/png", buffer: Buffer.from("no picture") };
  await page.setInputFiles("#open-picture", text);
  await page.waitForSelector("#problem:not([hidden])");
  assert.match(await page.textContent("#problem"), /'text.png' is no picture/);
  assert.deepEqual(foreign, []);
});

/** Waits until the network for pictures of a size has answered. */
function seen(page, side) {
  return page.waitForFunction(
    (size) => document.getElementById("segment-report").textContent.includes(`sees ${size} ×`),
    side,
  );
}

test("where the largest size does not run, a smaller one does", OPTIONS, async (context) => {
  const { page } = await opened(context);
  const damaged = readFileSync(`${PAGE}/models/shapes_256.fr`);
  damaged[2000] ^= 4;
  await page.route("**/shapes_256.fr", (route) => route.fulfill({ body: damaged }));
  await page.click("#tab-segment");
  await page.click("#shapes");
  await seen(page, 128);
  const report = await page.textContent("#segment-report");
  assert.match(report, /^256 × 256 pixels did not work here: .*checksum.* shapes_128.fr is/);
  assert.match(await page.textContent("#segmented"), /^Found: shape,/);
  assert.ok(await page.isChecked("#sides label:nth-child(2) input"));
  await noProblem(page);
});

/** Measures what is chosen, and returns the results. */
async function measured(page) {
  await page.fill("#warmup", "1");
  await page.fill("#runs", "3");
  await page.click("#start");
  await page.waitForFunction(() =>
    /^Done|stopped/i.test(document.getElementById("progress").textContent),
  );
  const download = page.waitForEvent("download");
  await page.click("#download");
  return readFileSync(await (await download).path(), "utf8");
}

test("outputs are those of Python, with one thread and with several", OPTIONS, async (context) => {
  const { page, foreign } = await opened(context);
  await page.click("#tab-measure");
  await page.waitForSelector("#accelerators label:nth-child(2)");
  const written = await measured(page);
  writeFileSync(`${PAGE}/../browser.json`, written);
  await shot(page, "measure-1200");
  await page.setViewportSize({ width: 390, height: 844 });
  await shot(page, "measure-390");
  const { results } = JSON.parse(written);
  assert.equal(results.length, 2 * index().length);
  for (const one of results) {
    assert.equal(one.status, "done", `${one.file}: ${one.message}`);
    const known = index().find(({ file }) => file === one.file);
    // The file that an archive makes here is Python's.
    assert.equal(one.sha256, known.sha256);
    const [{ argmax, rows }] = Object.values(one.agreement);
    assert.ok(
      rows === 4 && argmax >= (known.form.includes("float32") ? 0.995 : 0.99),
      `${one.file}: ${argmax}`,
    );
    assert.ok(one.times.runs === 3 && one.times.median_us > 0);
  }
  assert.deepEqual(new Set(results.map(({ threads }) => threads)), new Set([1, CORES]));
  assert.deepEqual(foreign, []);
  await noProblem(page);
});

test("results are shown as text where there is no clipboard", OPTIONS, async (context) => {
  const { page } = await opened(context);
  await page.evaluate(() => {
    Object.defineProperty(navigator, "clipboard", { get: () => undefined });
  });
  await page.click("#tab-measure");
  await page.waitForSelector("#files label");
  for (const box of (await page.locator("#files input").all()).slice(1)) await box.uncheck();
  const written = await measured(page);
  await page.click("#copy");
  assert.match(await page.textContent("#progress"), /copy them there/);
  assert.equal(await page.inputValue("#written"), written);
  assert.equal(await page.evaluate(() => document.getSelection().toString()), written);
  await noProblem(page);
});

test("what goes to the background is not measured", OPTIONS, async (context) => {
  const { page } = await opened(context);
  await page.click("#tab-measure");
  await page.waitForSelector("#files label");
  await page.fill("#runs", "10000");
  await page.click("#start");
  await page.waitForFunction(() =>
    document.getElementById("progress").textContent.startsWith("Measuring"),
  );
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForFunction(() =>
    /background/.test(document.getElementById("progress").textContent),
  );
  assert.match(await page.textContent("#results tbody"), /background/);
  await noProblem(page);
});

test("without isolation there is one thread, and the page says so", OPTIONS, async (context) => {
  const { page } = await opened(context, { isIsolated: false });
  await whole(page);
  assert.match(await page.textContent("#device"), /One thread: the server does not isolate/);
  assert.equal(await page.locator("#accelerators label").count(), 1);
  await noProblem(page);
});

test("a browser without SIMD is told that nothing can run", OPTIONS, async (context) => {
  // Chromium takes SIMD for missing where the processor has no SSE 4.1.
  const old = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--js-flags=--no-enable-sse4-1"],
  });
  const server = await serve(PAGE, true);
  context.after(async () => {
    await old.close();
    await server.end();
  });
  const page = await old.newPage();
  // Other processors cannot be made to miss it.
  if (process.arch !== "x64") await page.addInitScript("WebAssembly.validate = () => false");
  await page.goto(server.address);
  await page.waitForSelector("#problem:not([hidden])");
  assert.match(await page.textContent("#problem"), /has no SIMD/);
});

test("files that are no networks cost a sentence each", OPTIONS, async (context) => {
  const { page } = await opened(context);
  await page.click("#tab-measure");
  await page.waitForSelector("#files label");
  for (const box of await page.locator("#files input[name=file]").all()) await box.uncheck();
  const archive = readFileSync(`${PAGE}/models/digits.fr`);
  const damaged = Buffer.from(archive);
  damaged[2000] ^= 4;
  const cases = {
    "damaged.fr": [damaged, /checksum/],
    "cut.fr": [archive.subarray(0, 3000), /cut|checksum/],
    "text.tflite": [Buffer.from("This is a text and no network."), /TFL3/],
    "empty.tflite": [Buffer.alloc(0), /TFL3/],
    "huge.tflite": [readFileSync(`${ODD}/huge.tflite`), /needs too much memory/],
    "open.tflite": [readFileSync(`${ODD}/open.tflite`), /no fixed size/],
    "garbage.tflite": [Buffer.from(`\x1c\0\0\0TFL3${"\xff".repeat(400)}`, "latin1"), /./],
  };
  for (const [name, [buffer]] of Object.entries(cases)) {
    await page.setInputFiles("#open-file", { name, mimeType: "application/octet-stream", buffer });
  }
  const { results } = JSON.parse(await measured(page));
  assert.equal(results.length, 2 * Object.keys(cases).length);
  for (const { file, message, status } of results) {
    assert.equal(status, "failed");
    assert.match(message, cases[file][1], file);
  }
  // The page still works.
  await page.click("#tab-draw");
  await page.click("#example");
  await page.waitForSelector("#guesses li");
});

/** Has a worker of the page expand archives one after the other; returns what it says of each. */
function expanded(archives) {
  const worker = new Worker("worker.js");
  return new Promise((give, refuse) => {
    const replies = [];
    worker.onmessage = ({ data }) => {
      replies.push(data.gives?.sha256 ?? { problem: data.problem });
      if (replies.length < archives.length) return;
      worker.terminate();
      give(replies);
    };
    worker.onerror = ({ message }) => refuse(new Error(message));
    archives.forEach((text, id) => {
      const data = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
      worker.postMessage({ id, task: "expand", takes: { data, isCut: false } });
    });
  });
}

test(
  "hostile archives cost a sentence each, and good ones give Python's file",
  { ...OPTIONS, skip: skip || missing(WHOLE) },
  async (context) => {
    const { page } = await opened(context);
    const all = cases(WHOLE);
    let refused = 0;
    for (let from = 0; from < all.length; from += PART) {
      const part = all.slice(from, from + PART);
      const texts = part.map(({ data }) => Buffer.from(data).toString("base64"));
      const replies = await page.evaluate(expanded, texts);
      part.forEach(({ name, contents, file }, at) => {
        const isGood = contents !== "refused" && file.length === 64;
        if (isGood) assert.equal(replies[at], file, name);
        else assert.match(replies[at].problem ?? "", /^\S.{20,400}$/s, name);
        refused += isGood ? 0 : 1;
      });
    }
    assert.ok(refused > 1000 && refused < all.length, `${refused} of ${all.length}`);
    await noProblem(page);
  },
);

test("the page works offline", OPTIONS, async (context) => {
  const { page } = await opened(context);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await whole(page);
  await page.context().setOffline(true);
  await page.reload();
  await whole(page);
  await page.click("#example");
  await page.waitForSelector("#guesses li");
  assert.match(await page.textContent("#guess"), /^This is 7/);
});
