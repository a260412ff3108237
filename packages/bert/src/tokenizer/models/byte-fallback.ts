const encoder = new TextEncoder();

/** What is unknown as the tokens of its bytes (`<0x0A>`); undefined where the vocabulary lacks one of them. */
export function byteFallback(vocab: ReadonlyMap<string, number>): (unknown: string) => number[] | undefined {
  const ids = Array.from({ length: 256 }, (_, byte) =>
    vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  );
  return (unknown) => {
    const found = Array.from(encoder.encode(unknown), (byte) => ids[byte]);
    return found.every((id) => id !== undefined) ? found : undefined;
  };
}
