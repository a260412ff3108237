import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { cardsHere, chooseCard, sharedCards } from "./gpus.ts";

const root = mkdtempSync(join(tmpdir(), "gpugrad-cards-"));
afterAll(() => rmSync(root, { recursive: true }));

test("cards are found by their places on the bus, and each rank of a machine gets its own", () => {
  for (const [render, bus] of [
    ["renderD129", "0000:41:00.0"],
    ["renderD128", "0000:01:00.0"],
  ] as const) {
    const place = join(root, "sys/devices", bus);
    mkdirSync(place, { recursive: true });
    mkdirSync(join(root, "sys/drivers/amdgpu"), { recursive: true });
    symlinkSync(join(root, "sys/drivers/amdgpu"), join(place, "driver"));
    mkdirSync(join(root, "sys/class/drm", render), { recursive: true });
    symlinkSync(place, join(root, "sys/class/drm", render, "device"));
  }
  mkdirSync(join(root, "proc/driver/nvidia/gpus/0000:81:00.0"), { recursive: true });
  const cards = cardsHere(root);
  expect(cards).toEqual([
    { bus: "0000:01:00.0", driver: "amdgpu" },
    { bus: "0000:41:00.0", driver: "amdgpu" },
    { bus: "0000:81:00.0", driver: "nvidia" },
  ]);
  const chosen = (rank: number, env: Record<string, string | undefined>) => (
    chooseCard(rank, cards, env),
    env["DRI_PRIME"]
  );
  expect([0, 1, 2, 3].map((rank) => chosen(rank, {}))).toEqual([
    "pci-0000_01_00_0!",
    "pci-0000_41_00_0!",
    "pci-0000_81_00_0!",
    "pci-0000_01_00_0!",
  ]);
  expect(chosen(1, { DRI_PRIME: "0" }), "the environment has chosen").toBe("0");
  expect(chooseCard(1, cards.slice(0, 1), {}), "there is no choice").toBeUndefined();
});

test("ranks on one card are found", () => {
  const gpu = { host: "a", description: "NVIDIA H200", cpu: false };
  const on = (file: string) => ({ ...gpu, files: [file] });
  expect(sharedCards([on("/dev/nvidia0"), on("/dev/nvidia1"), { ...on("/dev/nvidia0"), host: "b" }])).toEqual([]);
  expect(sharedCards([on("/dev/nvidia0"), on("/dev/nvidia1"), on("/dev/nvidia0")])[0]).toMatch(
    "ranks 0, 2 on a share one GPU (NVIDIA H200, /dev/nvidia0)",
  );
  expect(
    sharedCards([
      { ...gpu, files: [] },
      { ...gpu, files: [] },
    ])[0],
  ).toMatch("may share one GPU");
  expect(
    sharedCards([
      { ...gpu, cpu: true, files: [] },
      { ...gpu, cpu: true, files: [] },
    ])[0],
  ).toMatch("the same processor");
});
