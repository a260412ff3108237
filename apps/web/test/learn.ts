import { expect, test } from "vitest";
import type { Audit } from "./audit.ts";
import type { OpenSite } from "./open-site.ts";

/** The course, with what it embeds, and the tape. */
export function testLearning(site: () => OpenSite, audit: Audit): void {
  test("the tape: runs the code, and steps back to the leaves", async () => {
    const { page, errors } = await site().open("tape.html");
    const rows = page.locator(".tape-row");
    await rows.first().waitFor();
    expect(await rows.allInnerTexts()).toEqual([
      "leaf 1 [2, 8]",
      "matmul [4, 8]",
      "leaf 2 [8]",
      "add [4, 8]",
      "tanh [4, 8]",
      "leaf 3 [8, 2]",
      "matmul [4, 2]",
      "crossEntropy []",
    ]);
    for (let i = 0; i < 8; i++) await page.getByRole("button", { name: "Step backward" }).click();
    expect(await page.locator(".tape-row.arrived").count()).toBe(8);
    await audit.look(page);

    await page.getByLabel("Example").selectOption("Softmax by hand");
    await page.getByText("The first value that is not a number: exp, row 2.").waitFor();
    const code = page.getByLabel("Code that returns a loss");
    await code.fill("const x = tensor([0, 1]).requireGrad(); return x.square().sqrt().sum();");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText("The first gradient that is not a number arrives at square, row 2.").waitFor();
    await code.fill("return 1");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText("The code returns no tensor.").waitFor();
    expect(errors).toEqual([]);
    await page.close();
  });

  test("the course: puzzles say what is wrong and what is right, and are remembered", async () => {
    const { page, errors } = await site().open("learn/softmax.html");
    const check = page.getByRole("button", { name: "Check" });
    await check.click();
    await page.getByText("With scores near 100: y[0] is NaN").waitFor();
    await page.getByRole("button", { name: "A hint" }).click();
    expect(await page.locator(".hints li").allInnerTexts()).toEqual([expect.stringContaining("e^89")]);
    await page.getByRole("button", { name: "The solution" }).click();
    await check.click();
    await page.getByText("Right, in every trial.").waitFor();

    // A ladder in the page: nothing of it is loaded before it is opened.
    const ladder = page.locator("[data-island=explore]");
    expect(await ladder.getAttribute("data-state")).toBe("waiting");
    expect(page.workers()).toHaveLength(0);
    await page.getByText("Time softmax's rungs, and change their source").click();
    await ladder.locator(".explore-rung", { hasText: "softmax-naive.wgsl" }).waitFor();
    expect(await ladder.getByLabel("WGSL source").inputValue()).toContain("Σ_k exp(x_k)");
    await audit.look(page);

    await page.goto(page.url().replace("softmax", "tiles"));
    const stepper = page.locator("[data-island=step-matmul]");
    expect(await stepper.getAttribute("data-state")).toBe("waiting"); // until it is scrolled to
    await check.click();
    await page.getByText("a tile was read before it was whole").waitFor();
    await page.getByRole("button", { name: "The solution" }).click();
    await check.click();
    await page.getByText("Right, in every order").waitFor();
    await stepper.scrollIntoViewIfNeeded();
    await stepper.getByRole("button", { name: "To the end" }).click();
    expect(await stepper.locator(".verdict").innerText()).toContain("agree with the formula");
    await audit.look(page);

    await page.goto(page.url().replace("tiles", "memory"));
    await page.getByRole("button", { name: "neighbours read neighbours" }).click();
    await page.getByText("1 line for 32 numbers").waitFor();
    await page.goto(page.url().replace("memory", "index"));
    await page.locator(".course .done").first().waitFor();
    expect(await page.locator(".course .done a").allInnerTexts()).toEqual([
      "Memory comes in lines",
      "Softmax without overflow",
      "Tiles, and two barriers",
    ]);
    expect(errors).toEqual([]);
    await page.close();
  });
}
