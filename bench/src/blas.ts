import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const LIBRARIES = ["libopenblas.so.0", "libopenblas.so", "libopenblas.dylib"];

/**
 * f32 operations per second of OpenBLAS on all cores: what native code does on a CPU. npm has no OpenBLAS, so it takes a C compiler
 * (`cc`) and the system's library; undefined where either is missing.
 */
export function blasFlops(): number | undefined {
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-blas-"));
  try {
    const program = join(folder, "blas");
    const source = fileURLToPath(new URL("blas.c", import.meta.url));
    if (spawnSync("cc", ["-O2", source, "-o", program, "-ldl"]).status !== 0) return undefined;
    for (const library of LIBRARIES) {
      const { status, stdout } = spawnSync(program, [library], { encoding: "utf8" });
      if (status === 0) return Number(stdout);
    }
    return undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
