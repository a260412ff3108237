/** Multiplications and additions of a training step per token: 6 for each parameter that is not an embedding (2 forward, 4 backward). */
export function flosPerToken(parameters: Iterable<readonly [name: string, parameter: { size: number }]>): number {
  let count = 0;
  for (const [name, { size }] of parameters) if (!/_embeddings\.weight$/.test(name)) count += size;
  return 6 * count;
}
