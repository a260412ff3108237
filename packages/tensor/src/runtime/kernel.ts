import { argumentCheck } from "../arguments.ts";
import { didYouMean } from "../did-you-mean.ts";
import { check, GpugradError } from "../errors.ts";
import { showValue } from "../values.ts";

/**
 * A WGSL file and what `run()` needs to know of it, read off its own declarations, so that host code uses the kernel's
 * own names: bindings, the fields of `struct Params`, overrides.
 */
export interface Kernel {
  /** Path below `packages/tensor/src`, for messages. */
  readonly file: string;
  readonly code: string;
  readonly bindings: readonly Binding[];
  /** Which of the tensors and images that it is given it writes to, by their position. */
  readonly written: readonly number[];
  /** Fields of `struct Params`, in the order and at the offsets (bytes) that WGSL's uniform layout gives them. */
  readonly params: readonly Field[];
  readonly paramsBytes: number;
  /** `@workgroup_size`: numbers, or names of overrides or constants. */
  readonly workgroupSize: readonly string[];
  /** Defaults of `override`s, and values of integer `const`s, by name. */
  readonly constants: ReadonlyMap<string, number>;
}

export interface Binding {
  readonly index: number;
  readonly name: string;
  readonly kind: "read-only-storage" | "storage" | "uniform" | "image";
  /** What a storage buffer is an array of, if that is numbers of 32 bits. u32 means the bits of any dtype. */
  readonly element: "f32" | "i32" | "u32" | undefined;
}

export interface Field {
  readonly name: string;
  readonly scalar: "u32" | "i32" | "f32";
  readonly offset: number;
  /** How many scalars. */
  readonly count: number;
}

/** Few devices offer more storage buffers than this to one kernel; WebGPU promises eight. */
const MAX_STORAGE_BUFFERS = 8;

const BINDING =
  /@group\(0\)\s*@binding\((\d+)\)\s*var(?:<(storage(?:\s*,\s*(\w+))?|uniform)>)?\s*(\w+)\s*:\s*([^;]*);/g;

/** What images are to kernels: see `Image`. */
const IMAGE = /^texture_storage_2d<\s*rgba32float\s*,\s*read\s*>$/;

const checkKernel = argumentCheck("kernel", { file: "string", code: "string", buffers: "size" });

/**
 * Reads a kernel's declarations. Comments are taken out first, so they may hold anything.
 * @param buffers how many storage buffers it may have: more than WebGPU promises only where the adapter is asked first
 */
/* @__NO_SIDE_EFFECTS__ */
export function kernel(file: string, code: string, buffers = MAX_STORAGE_BUFFERS): Kernel {
  checkKernel([file, code, buffers]);
  const source = code.replace(/\/\/.*$/gm, "");
  const aliases = new Map(
    [...source.matchAll(/\balias\s+(\w+)\s*=\s*([^;]+);/g)].map(([, name, type]) => [name!, type!]),
  );
  const bindings = [...source.matchAll(BINDING)].map(([, index, space, access, name, type]): Binding => {
    const buffer = space === "uniform" ? "uniform" : access === "read_write" ? "storage" : "read-only-storage";
    const kind = space === undefined ? "image" : buffer;
    check(
      kind !== "image" || IMAGE.test(type!.trim()),
      `${file}: ${name} is ${type}. Kernels take buffers, and images: texture_storage_2d<rgba32float, read>.`,
    );
    return { index: Number(index), name: name!, kind, element: elementOf(type!, aliases) };
  });
  const declared = source.match(/@binding\b/g)?.length ?? 0;
  check(
    bindings.length === declared,
    `${file}: ${declared} bindings are declared, but ${bindings.length} can be read. Write them as ` +
      "`@group(0) @binding(0) var<storage, read> x: array<f32>;`, all of group 0.",
  );
  const given = bindings.filter((b) => b.kind !== "uniform");
  const storage = given.filter((b) => b.kind !== "image");
  check(
    storage.length <= buffers,
    `${file}: ${storage.length} storage buffers, but ${buffers === MAX_STORAGE_BUFFERS ? "WebGPU promises" : "it may have"} ${buffers}. Split the kernel.`,
  );
  const size = /@workgroup_size\(([^)]*)\)/.exec(source);
  check(size, `${file}: no @workgroup_size found.`);
  const constants = new Map(
    [...source.matchAll(/\b(?:override|const)\s+(\w+)(?:\s*:\s*\w+)?\s*=\s*(\d+)u?\s*;/g)].map(([, k, v]) => [
      k!,
      Number(v),
    ]),
  );
  const { fields, bytes } = uniformLayout(file, /struct\s+Params\s*{([^}]*)}/.exec(source)?.[1] ?? "");
  const uniforms = bindings.length - given.length;
  check(
    uniforms === 0 || (uniforms === 1 && fields.length > 0),
    `${file}: ${uniforms} uniforms, of which ${fields.length > 0 ? "one may be" : "none is"} a struct Params with fields. ` +
      "A kernel's numbers are the fields of one: `struct Params { count: u32 }`, `var<uniform> params: Params;`.",
  );
  return {
    file,
    code,
    bindings,
    written: given.flatMap(({ kind }, i) => (kind === "storage" ? [i] : [])),
    params: fields,
    paramsBytes: bytes,
    workgroupSize: size[1]!.split(",").map((s) => s.trim().replace(/u$/, "")),
    constants,
  };
}

/** The scalar of `array<f32>`, `array<vec4f>`, `array<vec4<i32>>`, or of an alias for one. */
function elementOf(type: string, aliases: ReadonlyMap<string, string>): Binding["element"] {
  let element = /^\s*array<(.*)>\s*$/s
    .exec(type)?.[1]
    ?.split(/,\s*\w+\s*$/)[0]
    ?.trim();
  for (let alias = aliases.get(element ?? ""); alias !== undefined; alias = aliases.get(element))
    element = alias.trim();
  const scalar = /^(?:vec[234]<?)?([fiu])(?:32)?>?$/.exec(element ?? "")?.[1];
  return scalar ? (`${scalar}32` as "f32" | "i32" | "u32") : undefined;
}

/** Offsets by WGSL's rules for the uniform address space: https://www.w3.org/TR/WGSL/#alignment-and-size */
function uniformLayout(file: string, body: string): { fields: Field[]; bytes: number } {
  const fields: Field[] = [];
  let bytes = 0;
  for (const [, name, type] of body.matchAll(/(\w+)\s*:\s*((?:array<[^>]*>)|\w+)/g)) {
    const shape = /^(?:array<)?(?:vec([234]))?(u32|i32|f32|u|i|f)(?:,\s*(\d+)\s*>)?$/.exec(type!.replace(/\s/g, ""));
    check(
      shape,
      `${file}: Params.${name} has type ${type}: only u32, i32, f32, vec2–4 of them, and arrays of vec4 are laid out.`,
    );
    const lanes = Number(shape[1] ?? 1);
    const repeat = Number(shape[3] ?? 1);
    check(
      repeat === 1 || lanes === 4,
      `${file}: Params.${name}: a uniform array needs elements of 16 bytes: use vec4.`,
    );
    const align = lanes === 1 ? 4 : lanes === 2 ? 8 : 16;
    bytes = Math.ceil(bytes / align) * align;
    const scalar = ({ u: "u32", i: "i32", f: "f32" } as const)[shape[2]![0] as "u" | "i" | "f"];
    fields.push({ name: name!, scalar, offset: bytes, count: lanes * repeat });
    bytes += lanes * repeat * 4;
  }
  return { fields, bytes: Math.ceil(bytes / 16) * 16 };
}

/** The number that a kernel gives a name, in its declarations: `const GELU_TANH = 14u;` for `gelu_tanh`. */
export function constantOf({ file, constants }: Kernel, name: string): number {
  const value = constants.get(name.toUpperCase());
  check(value !== undefined, () => `${file}: no const ${name.toUpperCase()} with a whole number.`);
  return value;
}

/** Values for `struct Params`, by field name. */
export type Params = Record<string, number | readonly number[]>;

/** Writes `params` into `view` at `base`. Every field has to be given, and no other. */
export function packParams(kernel: Kernel, params: Params, view: DataView, base: number): void {
  for (const { name, scalar, offset, count } of kernel.params) {
    const value = params[name];
    const only = count === 1 && typeof value === "number";
    if (!only && (value as readonly number[] | null | undefined)?.length !== count)
      refuseParam(kernel, name, value, count);
    for (let i = 0; i < count; i++) {
      const number = only ? value : (value as readonly number[])[i]!;
      if (typeof number !== "number" || (scalar !== "f32" && !Number.isFinite(number)))
        refuseParam(kernel, name, value, count, scalar);
      setScalar(view, scalar, base + offset + 4 * i, number);
    }
  }
  for (const name in params) {
    const known = kernel.params.map((field) => field.name);
    check(
      known.includes(name),
      () => `${kernel.file}: Params has no field ${name}.${didYouMean(name, known)} It has ${known.join(", ")}.`,
    );
  }
}

function refuseParam(kernel: Kernel, name: string, value: unknown, count: number, scalar = ""): never {
  const takes = `${count === 1 ? "a number" : `a list of ${count} numbers`}${scalar && ` for ${scalar}`}`;
  const given = value === undefined ? "is missing" : `is ${showValue(value)}`;
  throw new GpugradError(`${kernel.file}: Params.${name} ${given}; it takes ${takes}.`);
}

/** Writes a number in the layout of the device. */
export function setScalar(view: DataView, scalar: Field["scalar"], at: number, value: number): void {
  if (scalar === "f32") view.setFloat32(at, value, true);
  else if (scalar === "i32") view.setInt32(at, value, true);
  else view.setUint32(at, value, true);
}

const specialized = new Map<Kernel, Map<string, Kernel>>();

/** A key for a few named values: cheaper than JSON, for it is made at every dispatch. */
export function keyOf(values: Record<string, string | number>): string {
  let key = "";
  for (const name in values) key += `${name}=${values[name]} `;
  return key;
}

/**
 * The kernel with the values of some `const`s and `alias`es replaced by name: `specialize(k, { TILE: 8, T: "i32" })`. For what
 * WGSL won't take from an `override`: the size of a private array, an element type. Throws when a name is not declared.
 */
export function specialize(base: Kernel, values: Record<string, string | number>): Kernel {
  let variants = specialized.get(base);
  if (!variants) specialized.set(base, (variants = new Map<string, Kernel>()));
  const key = keyOf(values);
  let made = variants.get(key);
  if (!made) {
    let code = base.code;
    for (const [name, value] of Object.entries(values)) {
      const declaration = new RegExp(`\\b((?:const|alias)\\s+${name}\\b[^=;]*=\\s*)([^;]+)(;)`);
      check(declaration.test(code), `${base.file}: no const or alias ${name} to specialize.`);
      code = code.replace(declaration, (_, head: string, old: string, end: string) => {
        const suffix = typeof value === "number" && /^\d+u$/.test(old.trim()) ? "u" : "";
        return `${head}${value}${suffix}${end}`;
      });
    }
    made = kernel(base.file, code);
    variants.set(key, made);
  }
  return made;
}

/** By the code that is put in, then by the function: asked at every dispatch, so keys are strings that exist. */
const replaced = new WeakMap<Kernel, Map<string, Map<string, Kernel>>>();

/**
 * The kernel with `code` in the place of its function `name`; what else `code` declares comes along. For what a kernel does only at
 * times and at length, so that it can be read without. Throws when it has no such function.
 */
export function replaceFunction(base: Kernel, name: string, code: string, buffers?: number): Kernel {
  let variants = replaced.get(base);
  if (!variants) replaced.set(base, (variants = new Map<string, Map<string, Kernel>>()));
  let named = variants.get(code);
  if (!named) variants.set(code, (named = new Map<string, Kernel>()));
  let made = named.get(name);
  if (!made) {
    const own = new RegExp(`^fn ${name}\\((?:.*\\}$|[^]*?^\\}$)`, "m"); // on one line, or up to a brace at the beginning of one
    check(own.test(base.code), `${base.file}: no function ${name} to replace.`);
    made = kernel(
      base.file,
      base.code.replace(own, () => code),
      buffers ?? Math.max(MAX_STORAGE_BUFFERS, base.bindings.filter(({ kind }) => kind !== "uniform").length),
    );
    named.set(name, made);
  }
  return made;
}

/** The workgroup's size in invocations per dimension, with `overrides` in force. */
export function workgroupSizeOf(kernel: Kernel, overrides: Record<string, number>): [number, number, number] {
  const [x = 1, y = 1, z = 1] = kernel.workgroupSize.map((s) => {
    const value = overrides[s] ?? kernel.constants.get(s) ?? Number(s);
    check(Number.isInteger(value), `${kernel.file}: @workgroup_size(${s}) is neither a number nor a known override.`);
    return value;
  });
  return [x, y, z];
}
