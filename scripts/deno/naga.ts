// pnpm naga: hands every kernel, as it is put together and with its overrides, to naga, the compiler of Firefox and wgpu, by way of Deno.
// Kernels that need subgroups are left out: naga has none behind WebGPU. Exit status 1 where one is refused; 0 where Deno can't be had.
import { destroy, init } from "@gpugrad/tensor";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { everyShader } from "../shaders.ts";
import { deno, WITH_GPU, withoutDeno } from "./deno.ts";

const problem = withoutDeno();
if (problem) {
  console.log(`naga: not checked, for Deno can't be had here: ${problem}`);
  process.exit(0);
}
await init();
const { shaders, problems } = await everyShader({ isLeast: false });
await destroy();
for (const problem of problems) console.error(problem);

const steps = fileURLToPath(new URL("../../examples/kernel-steps/", import.meta.url));
for (const file of readdirSync(steps))
  shaders.push({ file, code: readFileSync(join(steps, file), "utf8"), overrides: {} });

const portable = shaders.filter(({ code }) => !/^enable /m.test(code));
const folder = mkdtempSync(join(tmpdir(), "gpugrad-naga-"));
const refused: string[] = [];
try {
  const file = join(folder, "shaders.json");
  writeFileSync(file, JSON.stringify(portable));
  const program = fileURLToPath(new URL("compile.mjs", import.meta.url));
  // A shader at which naga panics ends Deno: it is the one behind the last that was reported.
  for (let next = 0; next < portable.length;) {
    const { stdout, stderr } = deno([...WITH_GPU, program, file, String(next)]);
    const lines = stdout.split("\n").filter((line) => line.startsWith("shader "));
    for (const line of lines) {
      const [, index, message] = /^shader (\d+) (.*)$/.exec(line)!;
      if (message !== "ok") refused.push(`${portable[Number(index)]!.file}: ${message}`);
    }
    next += lines.length;
    if (next < portable.length) refused.push(`${portable[next]!.file}: ${stderr.trim().slice(0, 1000)}`);
    next++;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const line of new Set(refused)) console.error(line);
console.log(`naga: ${portable.length} kernels, ${refused.length} refused.`);
process.exit(refused.length + problems.length > 0 ? 1 : 0);
