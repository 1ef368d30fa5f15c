// Opens one HTML file in Chromium, wide and as on a phone, light and dark, and prints as JSON what is wrong with it.
// node check.mjs CHROMIUM FILE.html [FOLDER for screenshots]
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [executablePath, file, shots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const quiet = [
  "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--no-sandbox",
];
const page_ = pathToFileURL(file).href;
const browser = await chromium.launch({ executablePath, args: quiet });
const found = [];
for (const [name, width, height] of [["wide", 1280, 900], ["phone", 390, 844], ["narrow", 360, 640]]) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    const page = await context.newPage();
    const messages = [], requests = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && messages.push(message.text()));
    page.on("pageerror", (error) => messages.push(String(error)));
    page.on("request", (request) => /^(data:|about:)/.test(request.url()) || request.url() === page_ || requests.push(request.url()));
    await page.goto(page_);
    await page.evaluate(() => Promise.allSettled([...document.images].map((image) => image.decode())));
    const broken = await page.evaluate(() => [...document.images].filter((image) => !image.naturalWidth).length);
    await page.evaluate(axe);
    await page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
    // colors and roles are those of the phone's page: only the width is smaller
    const result = name === "narrow" ? { passes: [], violations: [] } : await page.evaluate(() => axe.run());
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = false)));
    if (shots && name !== "narrow") {
      await page.screenshot({ path: `${shots}-${name}-${colorScheme}.png`, fullPage: true });
    }
    found.push({
      name, colorScheme, messages, requests, broken, overflow,
      rules: result.passes.length,
      violations: result.violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 3).map((node) => node.html.slice(0, 200)), why: nodes[0].failureSummary })),
    });
    await context.close();
  }
}
await browser.close();
console.log(JSON.stringify(found));
