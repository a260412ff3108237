const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes in binary units: `512 B`, `1.5 KiB`, `418 MiB`. */
export function showBytes(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${value < 99.95 && power > 0 ? Number(value.toFixed(1)) : Math.round(value)} ${UNITS[power]}`;
}
