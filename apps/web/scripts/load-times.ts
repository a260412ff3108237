// What Lighthouse measures of a page's load, on a processor that Chromium slows down four times: first and largest paint, blocking time, shifts.
//   node scripts/run.mjs apps/web/scripts/load-times.ts        (GPUGRAD_SITE=DIR takes a site that was built with SITE_BASE=/sub/path/)
import { openSite } from "../test/open-site.ts";

const SLOWER = 4;
const PAGES = ["index", "play", "tape", "learn/tiles", "step/attention", "explore/matmul", "kernels/attention"];

interface Load {
  first: number;
  largest: number;
  blocking: number;
  shift: number;
}

const site = await openSite();
try {
  console.log("| page | first paint, ms | largest paint, ms | blocking time, ms | layout shift |");
  console.log("|---|--:|--:|--:|--:|");
  for (const name of PAGES) {
    const { page } = await site.open("404.html");
    await page.addInitScript(() => {
      const load: Load = { first: 0, largest: 0, blocking: 0, shift: 0 };
      Object.assign(globalThis, { load });
      for (const type of ["paint", "largest-contentful-paint", "longtask", "layout-shift"])
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) {
            if (entry.name === "first-contentful-paint") load.first = entry.startTime;
            else if (type === "largest-contentful-paint") load.largest = entry.startTime;
            else if (type === "longtask") load.blocking += entry.duration - 50;
            else if (type === "layout-shift") load.shift += (entry as PerformanceEntry & { value: number }).value;
          }
        }).observe({ type, buffered: true });
    });
    const chromium = await page.context().newCDPSession(page);
    await chromium.send("Network.setCacheDisabled", { cacheDisabled: true });
    await chromium.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
    await page.goto(new URL(`${name}.html`, page.url()).href, { waitUntil: "load" });
    await page.waitForTimeout(5000);
    const { first, largest, blocking, shift } = await page.evaluate(
      () => (globalThis as unknown as { load: Load }).load,
    );
    console.log(`| ${name} | ${[first, largest, blocking].map(Math.round).join(" | ")} | ${shift.toFixed(3)} |`);
    await page.close();
  }
} finally {
  await site.close();
}
