import { expect, test } from "vitest";
import type { Audit } from "./audit.ts";
import type { OpenSite } from "./open-site.ts";

/** The pages that step through a workgroup. */
export function testSteppers(site: () => OpenSite, audit: Audit): void {
  test("matmul stepped: right to the end, wrong without a barrier, right again in lockstep", async () => {
    const { page, errors } = await site().open("step/matmul.html");
    const verdict = page.locator(".verdict");
    const slider = page.getByLabel("Step", { exact: true });
    await page.getByRole("button", { name: "To the end" }).click();
    expect(await verdict.innerText()).toBe("All 16 elements of c agree with the formula in float64.");
    const removed = page.getByLabel("remove the barrier “the tiles are whole”");
    await removed.check();
    await slider.press("End");
    expect(await verdict.innerText()).toMatch(/^\d+ of 16 elements of c are wrong/);
    expect(await page.locator("[data-memory=c] .wrong").count()).toBeGreaterThan(0);
    await page.getByLabel("In lockstep").selectOption("16");
    await slider.press("End");
    expect(await verdict.innerText()).toContain("agree");

    await page.getByRole("combobox", { name: "Kernel" }).selectOption("registers");
    await slider.press("End");
    expect(await page.locator("[data-memory=a] figcaption").innerText()).toContain("64 reads of 64 elements");
    expect(await page.locator(".step-code .now").innerText()).toContain("store(at, sum);");
    await slider.press("Home");
    await page.getByRole("button", { name: "To the next barrier" }).click();
    await page.getByText("Barrier. Invocations 0 … 15 have all arrived").waitFor();
    await audit.look(page);
    expect(errors).toEqual([]);
    await page.close();
  });

  test("pages of docs/ link to the sources in the repository, and to the pages that step and time", async () => {
    const { page } = await site().open("kernels/attention.html");
    const links = await page.locator(".vp-doc a").evaluateAll((all) => all.map((a) => a.getAttribute("href") ?? ""));
    expect(links).toContain("https://github.com/gpugrad/gpugrad/blob/main/packages/tensor/src/ops/attention/choose.ts");
    expect(links).toContain("/sub/path/step/attention.html");
    expect(links).toContain("/sub/path/explore/attention.html");
    await audit.look(page);
    await page.close();
  });

  test("attention stepped: shrinking sums, padding, and gradients with and without owners", async () => {
    const { page, errors } = await site().open("step/attention.html");
    const online = page.locator("[data-island=online-softmax]");
    await online.getByLabel("Score of key 2").fill("4");
    await online.getByRole("button", { name: "All keys" }).click();
    expect(await online.locator(".verdict").innerText()).toContain("The same.");
    await online.getByLabel("forget to shrink").check();
    expect(await online.locator(".verdict").innerText()).toContain("Not the same.");

    const one = page.locator("[data-island=step-attention]");
    const slider = one.getByLabel("Step", { exact: true });
    await slider.press("End");
    expect(await one.locator(".verdict").innerText()).toContain("All 16 elements of y agree");
    expect(await one.locator("[data-memory=k] figcaption").innerText()).toContain("32 reads of 32 elements");
    await one.getByLabel("Keys that are no padding").fill("4");
    await slider.press("End");
    expect(await one.locator("[data-memory=k] figcaption").innerText()).toContain("16 reads of 16 elements");
    await one.getByLabel("Keys that are no padding").fill("8");
    await one.getByText("Make it wrong").click();
    await one.getByLabel("forget to shrink").check();
    await slider.press("End");
    expect(await one.locator(".verdict").innerText()).toContain("are wrong");

    const owners = page.locator("[data-island=owners]");
    const who = owners.getByLabel("Who adds up");
    for (const [value, says] of [
      ["keys", "The same bits in every run"],
      ["queries", "The same bits in every run"],
      ["atomics", "have other bits in another run"],
      ["plain", "sums are wrong"],
    ] as const) {
      await who.selectOption(value);
      expect(await owners.locator(".verdict").innerText()).toContain(says);
    }
    await audit.look(page);
    expect(errors).toEqual([]);
    await page.close();
  });
}
