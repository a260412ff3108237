import { invocationsOf, settingsOf, workgroupBytes } from "./source.ts";

/** Something that must stay true of a kernel's settings. */
export interface Invariant {
  says: string;
  holds: boolean;
  /** Settings that it is about. */
  of: string[];
}

type Values = Record<string, number>;

const isPowerOfTwo = (n: number): boolean => n > 0 && (n & (n - 1)) === 0;
const powerOfTwo = (name: string) => ({ says: `${name} is a power of two: trees and swaps halve it`, of: [name], test: (v: Values) => isPowerOfTwo(v[name]!) }); // prettier-ignore

interface Rule {
  says: string;
  of: string[];
  test: (values: Values, smallestSubgroup: number) => boolean;
}

const team: Rule[] = [
  powerOfTwo("TEAM"),
  { says: "SPAN is at most TEAM", of: ["SPAN", "TEAM"], test: ({ SPAN, TEAM }) => SPAN! <= TEAM! },
  {
    says: "SPAN is at most the smallest subgroup of this adapter: partners further away are in another one",
    of: ["SPAN"],
    test: ({ SPAN }, smallest) => SPAN! <= smallest,
  },
  { says: "SIZE is a multiple of TEAM", of: ["SIZE", "TEAM"], test: ({ SIZE, TEAM }) => SIZE! % TEAM! === 0 },
];

/** By a part of the file's name. */
const RULES: [file: string, rules: Rule[]][] = [
  ["softmax-workgroup", [powerOfTwo("SIZE")]],
  ["softmax-subgroup", team],
  ["norm-workgroup", [powerOfTwo("SIZE")]],
  ["norm-subgroup", team],
  ["cross-entropy-workgroup", [powerOfTwo("SIZE")]],
  ["matmul-dots", [powerOfTwo("SIZE")]],
  ["matmul-workgroup-tile", [{ says: "SIDE is 16: the host starts a workgroup for each tile of 16 × 16", of: ["SIDE"], test: ({ SIDE }) => SIDE === 16 }]], // prettier-ignore
  [
    "matmul-tiled",
    [{ says: "BLOCKS = SIDE · SIDE", of: ["SIDE", "BLOCKS"], test: ({ SIDE, BLOCKS }) => BLOCKS === SIDE! * SIDE! }],
  ],
  [
    "-tiled.wgsl",
    [
      { says: "DEPTH is at most 8: a row of left is 9 long", of: ["DEPTH"], test: ({ DEPTH = 0 }) => DEPTH <= 8 },
      { says: "LINE is larger than DEPTH", of: ["LINE", "DEPTH"], test: ({ LINE = 9, DEPTH = 0 }) => LINE > DEPTH },
      { says: "OWN · 8 ≥ VECTORS", of: ["OWN", "VECTORS"], test: ({ OWN = 1, VECTORS = 0 }) => OWN * 8 >= VECTORS },
    ],
  ],
];

export interface Limits {
  workgroupBytes: number;
  workgroupInvocations: number;
  subgroupSize: readonly [number, number];
}

/** What must be true of a source, on an adapter with these limits. */
export function invariantsOf(file: string, code: string, limits: Limits): Invariant[] {
  const values = Object.fromEntries(settingsOf(code).map(({ name, value }) => [name, Number(value)]));
  const bytes = workgroupBytes(code);
  const invocations = invocationsOf(code);
  const rules = RULES.filter(([part]) => file.includes(part)).flatMap(([, list]) => list);
  return [
    ...(bytes === undefined || bytes === 0
      ? []
      : [{ says: `${bytes.toLocaleString("en")} bytes of workgroup memory, of ${limits.workgroupBytes.toLocaleString("en")} here`, holds: bytes <= limits.workgroupBytes, of: [] }]), // prettier-ignore
    ...(invocations === undefined
      ? []
      : [{ says: `${invocations} invocations in a workgroup, of ${limits.workgroupInvocations} here`, holds: invocations >= 1 && invocations <= limits.workgroupInvocations, of: [] }]), // prettier-ignore
    ...rules
      .filter(({ of }) => of.some((name) => name in values))
      .map(({ says, of, test }) => ({ says, of, holds: test(values, limits.subgroupSize[0]) })),
  ];
}
