/** Bits of one element, by the name that a safetensors header gives the type. The order is the writer's: last comes first. */
const dtypeBits = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** Element types that this reader and writer know. */
export type SafetensorsDtype = keyof typeof dtypeBits;

export const dtypes = Object.keys(dtypeBits) as SafetensorsDtype[];

/** Bytes of a tensor; not an integer where small elements do not fill the last byte. */
export const bytesOf = (dtype: SafetensorsDtype, shape: readonly number[]): number =>
  shape.reduce((a, b) => a * b, dtypeBits[dtype]) / 8;
