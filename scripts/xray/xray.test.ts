import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { Collection } from "./collect.ts";
import { hotLoop, mixOf, readDisassembly, readStatistics } from "./machine-code.ts";
import { compileByNak } from "./nak.ts";
import { gpus, pretend, Unavailable, type Gpu } from "./pretend.ts";
import { collect, compile, defects } from "./xray.ts";

function reasonToSkip(): string | undefined {
  try {
    pretend("NAVI31", 64);
    return undefined;
  } catch (error) {
    if (error instanceof Unavailable) return error.message;
    throw error;
  }
}

/** Kernels for GPUs in the packages' sources, as they name themselves. */
function kernelFiles(): string[] {
  return ["tensor", "train"].flatMap((name) => {
    const folder = fileURLToPath(new URL(`../../packages/${name}/src/`, import.meta.url));
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const kernels = files.filter((file) => /(?<!\.cpu)\.wgsl$/.test(file));
    return kernels.map((file) => (name === "tensor" ? file : `${name}/${file}`));
  });
}

/** WGSL that is not a kernel of its own, one that debugging uses, and one whose call waits for a number from the device. */
const NOT_CALLED =
  /(epilogue|weights|row-sums)-|position-(scores|gradients)\.wgsl$|(nonzero|dropped|philox|numerics|count-resident)\.wgsl$|\/kept(-bits)?\.wgsl$/;

const reason = reasonToSkip();
if (reason) console.warn(reason);

describe.skipIf(reason)("every kernel at every tuning that a GPU can pick", () => {
  for (const gpu of ["NAVI31", "NAVI21"] satisfies Gpu[]) {
    describe(`on ${gpu} (${gpus[gpu]})`, () => {
      let found: Collection;
      beforeAll(async () => void (found = await collect(gpu)));

      test("all calls work", () => {
        expect(found.problems).toEqual([]);
      });

      // RDNA 3 offers all that kernels ask for.
      test.runIf(gpu === "NAVI31")("all kernels are called", () => {
        const seen = new Set(found.variants.map(({ file }) => file));
        const missing = kernelFiles().filter((file) => !seen.has(file) && !NOT_CALLED.test(file));
        expect(missing, "kernels that neither calls.ts nor a bench starts: call them, or name them .cpu.wgsl").toEqual(
          [],
        );
      });

      for (const subgroupSize of [64, 32] as const) {
        test(`no spill and no scratch memory at ${subgroupSize} lanes`, async () => {
          const { reports, problems } = await compile(found.variants, gpu, subgroupSize);
          expect(problems).toEqual([]);
          const bad = reports.flatMap((report) => {
            const { file, tuning } = report.variant;
            return defects(report).map((defect) => `${file} ${tuning}: ${defect}`);
          });
          expect(bad).toEqual([]);
        });
      }
    });
  }
});

// As RADV prints it, shortened.
const output = `disasm:
BB0:
	v_mov_b32_e32 v4, 0                                         ; 7e080280
	s_nop 0                                                     ; bf800000
	(then repeated 2 times)
BB1:
	buffer_load_b128 v[0:3], v8, s[4:7], 0 offen                ; e0500000 80484c4c
	ds_load_b128 v[12:15], v9                                   ; db7c0000 00000402
BB2:
	v_dual_fmac_f32 v4, v0, v12 :: v_dual_fmac_f32 v5, v1, v13  ; c8000000
	v_fma_mix_f32 v6, v2, v14, v6                               ; c8000000
	v_add_nc_u32_e32 v9, 16, v9                                 ; 4a120000
	s_cbranch_scc1 BB2                                          ; bfa1fffe
	s_cbranch_scc1 BB1                                          ; bfa1fffe
	s_endpgm                                                    ; bfb00000

*** SHADER STATS ***
SGPRs: 128
VGPRs: 48
Spilled SGPRs: 1
Spilled VGPRs: 2
Code size: 4336
LDS size: 8704
Scratch size: 64
Subgroups per SIMD: 8
`;

describe("reading what the driver prints", () => {
  test("statistics", () => {
    expect(readStatistics(output)).toEqual({
      ...{ registers: 48, spills: 3, scratch: 64, workgroupMemory: 8704, subgroupsPerSimd: 8, codeBytes: 4336 },
    });
    expect(readStatistics("")).toBeUndefined();
  });

  test("the hot loop, and its instructions", () => {
    const code = readDisassembly(output);
    expect(code.filter((line) => line === "s_nop 0")).toHaveLength(3);
    const loop = hotLoop(code);
    expect(loop[0]).toBe("BB2:");
    expect(mixOf(loop)).toMatchObject({ fma: 3, fmaShare: 2 / 3, instructions: 4, loads: 0 });
    expect(mixOf(code)).toMatchObject({ loads: 1, bytesPerLoad: 16, workgroupAccesses: 1 });
  });
});

describe("the second compiler", () => {
  const variants = ["a.wgsl", "b.wgsl", "c.wgsl"].map((file) => ({ file, code: "", overrides: {}, tuning: "" }));

  test("of a kernel's loops, the innermost that multiplies most is shown", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gpugrad-nak-"));
    try {
      const program = `
        const numbers = { registers: 112, warpsPerSM: 16, localBytes: 0, spills: 0, instructions: 900, cycles: 5000 };
        const loops = [
          { innermost: false, instructions: 800, ffma: 700 },
          { innermost: true, instructions: 300 },
          { innermost: true, instructions: 147, ffma: 128 },
        ];
        const answers = { "a.wgsl": { ...numbers, loops }, "b.wgsl": { ...numbers, loops: [] }, "c.wgsl": { error: "no such function" } };
        export const nak = async (variants, { from }) => ({ reports: variants.map(({ file }) => from && answers[file]) });
      `;
      writeFileSync(join(folder, "nak.mjs"), program);
      const numbers = { registers: 112, warpsPerSM: 16, localBytes: 0, spills: 0, instructions: 900 };
      expect(await compileByNak(variants, folder)).toEqual([
        { ...numbers, hotLoop: { innermost: true, instructions: 147, ffma: 128 } },
        { ...numbers, hotLoop: undefined },
        { error: "no such function" },
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a folder without the program is refused", async () => {
    await expect(compileByNak(variants, "no-such-folder")).rejects.toThrow(
      "xray: --nak no-such-folder: there is no nak.mjs",
    );
  });
});
