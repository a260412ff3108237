// What every page has to be, in light and dark, on a phone and on a desk: nothing wider than the screen, and nothing that axe calls serious.
import { mkdirSync } from "node:fs";
import type axe from "axe-core";
import type { Page } from "playwright-core";

/** A folder for pictures of every page that is looked at, for people to look at: `GPUGRAD_SCREENSHOTS=/tmp/pages`. */
const pictures = process.env["GPUGRAD_SCREENSHOTS"];

const VARIANTS = [
  { width: 1280, dark: false },
  { width: 1280, dark: true },
  { width: 390, dark: true },
  { width: 390, dark: false },
];

/** What pages have in common around their content. */
const FRAME = ".VPNav, .VPSidebar, .VPLocalNav";

type InPage = typeof globalThis & { axe: typeof axe };

/**
 * Looks at pages as they are, in all variants. What is repeated is looked at once: the rules of axe apply to each page, but contrast is a
 * matter of colours and sizes, so one element of each kind is compared; and the frame of the site is part of the first page only.
 */
export class Audit {
  /** By their addresses below the site's. */
  readonly seen = new Set<string>();
  readonly findings: string[] = [];
  readonly #kinds = new Set<string>();

  async look(page: Page): Promise<void> {
    const path = new URL(page.url()).pathname.replace(/^\/sub\/path\//, "").replace(/(^|\/)$/, "$1index.html");
    const isFirst = this.seen.size === 0;
    this.seen.add(path);
    for (const { width, dark } of VARIANTS) {
      const name = `${path}, ${width} px, ${dark ? "dark" : "light"}`;
      await page.setViewportSize({ width, height: 800 });
      const unseen = await page.evaluate(prepare, { dark, known: [...this.#kinds], frame: isFirst ? "" : FRAME });
      for (const kind of unseen.kinds) this.#kinds.add(kind);
      if (unseen.wider) this.findings.push(`${name}: wider than the screen`);
      const all = width === 390 && !dark;
      if (all || unseen.kinds.length > 0)
        for (const finding of await page.evaluate(findings, { all, exclude: isFirst ? [] : FRAME.split(", ") }))
          this.findings.push(`${name}: ${finding}`);
      if (pictures) {
        mkdirSync(pictures, { recursive: true });
        const file = `${pictures}/${path.replaceAll("/", "-").replace(".html", "")}-${width}-${dark ? "dark" : "light"}.png`;
        await page.screenshot({ path: file, fullPage: true });
      }
    }
    await page.evaluate(() => document.documentElement.classList.remove("dark"));
    await page.setViewportSize({ width: 1280, height: 800 });
  }
}

/** Gives the page its colours, marks an element of each kind of text that is not known yet, and gives these kinds. */
function prepare({ dark, known, frame }: { dark: boolean; known: string[]; frame: string }) {
  document.documentElement.classList.toggle("dark", dark);
  for (const marked of document.querySelectorAll("[data-contrast]")) marked.removeAttribute("data-contrast");
  const seen = new Set(known);
  const kinds: string[] = [];
  const behind = new Map<Element | null, string>([[null, ""]]);
  const backgroundOf = (element: Element | null): string => {
    let found = behind.get(element);
    if (found === undefined) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element!);
      const own = /^rgba\(.*, 0\)$/.test(backgroundColor) ? "" : backgroundColor;
      found = `${backgroundOf(element!.parentElement)} ${own}${backgroundImage === "none" ? "" : backgroundImage}${opacity === "1" ? "" : opacity}`;
      behind.set(element, found);
    }
    return found;
  };
  for (const element of document.body.querySelectorAll("*")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent!.trim())) continue;
    if (frame && element.closest(frame)) continue;
    const { color, fontSize, fontWeight, fill } = getComputedStyle(element);
    const kind = `${color} ${fill} ${fontSize} ${fontWeight} on${backgroundOf(element).replace(/ +/g, " ")}`;
    if (seen.has(kind)) continue;
    seen.add(kind);
    kinds.push(kind);
    element.setAttribute("data-contrast", "");
  }
  return { kinds, wider: document.documentElement.scrollWidth > window.innerWidth };
}

/** What axe finds that is serious: which rule, how often, and where first. `all`: by all rules, not only of contrast. */
async function findings({ all, exclude }: { all: boolean; exclude: string[] }): Promise<string[]> {
  const { axe } = globalThis as InPage;
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-contrast]" }] });
  const { violations } = await axe.run(exclude.length > 0 ? { exclude } : document, {
    ...{ resultTypes: ["violations"], preload: false },
    ...(!all && { runOnly: ["color-contrast"] }),
  });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.length} times, ${nodes[0]!.html.slice(0, 120)}`);
}
