import { addressOf, h } from "./dom.ts";

/** What to show instead of an error that means "no WebGPU here"; undefined for other errors. */
export function withoutGpu(error: Error): HTMLElement | undefined {
  if ("gpu" in navigator && !/adapter/i.test(error.message)) return undefined;
  return h(
    "span",
    {},
    "This browser offers no WebGPU, so nothing is computed here. ",
    h("a", { href: addressOf("no-webgpu.html") }, "Which browsers do, and what to switch on"),
    ".",
  );
}
