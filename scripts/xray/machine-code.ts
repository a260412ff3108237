// What the driver says of a kernel: its statistics, and what its hot loop is made of.

/** The compiler's own numbers, for one kernel. */
export interface Statistics {
  /** Vector registers per lane: what limits how many subgroups a SIMD holds. */
  registers: number;
  /** Registers that did not fit, vector and scalar. */
  spills: number;
  /** Bytes of scratch memory per lane: spills, and private arrays that are indexed by a variable. */
  scratch: number;
  /** Bytes of workgroup memory. */
  workgroupMemory: number;
  subgroupsPerSimd: number;
  /** Bytes of machine code. */
  codeBytes: number;
}

/** What a stretch of machine code is made of, by the number of instructions. */
export interface Mix {
  /** Multiply-adds; two to an instruction where they are packed or paired. */
  fma: number;
  /** Matrix instructions. */
  wmma: number;
  /** Multiply-adds' share of the issue slots of the vector ALU. */
  fmaShare: number;
  /** Accesses to workgroup memory. */
  workgroupAccesses: number;
  loads: number;
  /** Bytes that a load brings per lane, on average. */
  bytesPerLoad: number;
  instructions: number;
}

/** Reads RADV's block of statistics. Undefined where there is none. */
export function readStatistics(text: string): Statistics | undefined {
  const value = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, "m").exec(text)?.[1]);
  const registers = value("VGPRs");
  if (Number.isNaN(registers)) return undefined;
  return {
    registers,
    spills: value("Spilled VGPRs") + value("Spilled SGPRs"),
    scratch: value("Scratch size"),
    workgroupMemory: value("LDS size"),
    subgroupsPerSimd: value("Subgroups per SIMD"),
    codeBytes: value("Code size"),
  };
}

/** The disassembly in RADV's output, an instruction or label per line. */
export function readDisassembly(text: string): string[] {
  const from = text.indexOf("disasm:");
  const to = text.indexOf("\n\n", from);
  if (from < 0) return [];
  const lines: string[] = [];
  for (const raw of text
    .slice(from, to < 0 ? undefined : to)
    .split("\n")
    .slice(1)) {
    const line = raw.replace(/;.*/, "").trim();
    const again = /^\(then repeated (\d+) times\)$/.exec(line);
    if (again) lines.push(...new Array<string>(Number(again[1])).fill(lines.at(-1)!));
    else if (line) lines.push(line);
  }
  return lines;
}

/** The loop where the arithmetic is: of those that hold no other loop, the one with most of it; else all of the code. */
export function hotLoop(code: readonly string[]): readonly string[] {
  const innermost = loopsIn(code).filter(
    (loop, _, all) => !all.some((other) => other !== loop && other.from >= loop.from && other.to <= loop.to),
  );
  const weight = (lines: readonly string[]): number => {
    const { wmma, fma, loads, workgroupAccesses, instructions } = mixOf(lines);
    return 1e6 * wmma + 1e4 * fma + 1e2 * (loads + workgroupAccesses) + instructions;
  };
  const bodies = innermost.map(({ from, to }) => code.slice(from, to + 1));
  return bodies.reduce<readonly string[]>(
    (best, body) => (weight(body) > weight(best) ? body : best),
    bodies[0] ?? code,
  );
}

/** A loop is a branch back. */
function loopsIn(code: readonly string[]): { from: number; to: number }[] {
  const labels = new Map<string, number>();
  code.forEach((line, i) => {
    const label = /^(BB\d+):/.exec(line)?.[1];
    if (label) labels.set(label, i);
  });
  return code.flatMap((line, to) => {
    const from = labels.get(/^s_c?branch\S*\s+(BB\d+)/.exec(line)?.[1] ?? "");
    return from !== undefined && from <= to ? [{ from, to }] : [];
  });
}

const FMA = /^v_(dual_|pk_)?(fma|fmac|fmaak|fmamk|mad|madak|madmk|mac|dot2\w*?)(_mix\w*)?_(f32|f16|legacy_f32)/;

/** Counts instructions. */
export function mixOf(code: readonly string[]): Mix {
  const mix = { fma: 0, wmma: 0, workgroupAccesses: 0, loads: 0, instructions: 0 };
  let [fmaSlots, otherSlots, bytes] = [0, 0, 0];
  for (const line of code) {
    if (/^BB\d+:/.test(line)) continue;
    mix.instructions++;
    const names = line.split("::").map((half) => half.trim().split(/\s+/)[0]!); // RDNA 3 issues two at once as `a :: b`
    const fmas = names.filter((name) => FMA.test(name));
    const [name] = names as [string];
    if (name.includes("wmma")) mix.wmma++;
    else if (fmas.length > 0) {
      mix.fma += fmas.reduce((sum, fma) => sum + (/pk_|dot2/.test(fma) ? 2 : 1), 0);
      fmaSlots++;
    } else if (name.startsWith("v_")) otherSlots++;
    else if (name.startsWith("ds_")) mix.workgroupAccesses++;
    else if (/^(buffer|global|flat)_load/.test(name)) {
      mix.loads++;
      bytes += widthOf(name);
    }
  }
  const slots = fmaSlots + otherSlots;
  return { ...mix, fmaShare: slots > 0 ? fmaSlots / slots : 0, bytesPerLoad: mix.loads > 0 ? bytes / mix.loads : 0 };
}

/** Bytes per lane, by the name: buffer_load_b128, or buffer_load_dwordx4 before RDNA 3. */
function widthOf(name: string): number {
  if (/b128|x4/.test(name)) return 16;
  if (/b96|x3/.test(name)) return 12;
  if (/b64|x2/.test(name)) return 8;
  if (/[ui]8|[us]byte/.test(name)) return 1;
  return /[ui]16|b16|short/.test(name) ? 2 : 4;
}
