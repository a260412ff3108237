import { vi } from "vitest";

/** What a command writes, and its exit code. What it says by `console.warn` is not shown. */
export async function captured(command: () => Promise<number>): Promise<{ code: number; out: string; err: string }> {
  const said = { out: "", err: "" };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation((text) => ((said.out += String(text)), true)),
    vi.spyOn(process.stderr, "write").mockImplementation((text) => ((said.err += String(text)), true)),
    vi.spyOn(console, "warn").mockReturnValue(),
  ];
  try {
    const code = await command();
    return { code, ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
