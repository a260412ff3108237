/** A number in a kernel's source that can be another: `override SIZE: u32 = 256; // invocations in a workgroup`. */
export interface Setting {
  name: string;
  kind: "override" | "const";
  /** Counted from 0. */
  line: number;
  value: number | boolean;
  says: string;
}

const DECLARATION = /^(override|const)\s+(\w+)(?:\s*:\s*\w+)?\s*=\s*(true|false|\d+)u?\s*;\s*(?:\/\/\s*(.*))?$/;

/** The whole numbers and switches that a kernel declares, in order. */
export function settingsOf(code: string): Setting[] {
  return code.split("\n").flatMap((text, line): Setting[] => {
    const [, kind, name, value, says = ""] = DECLARATION.exec(text.trimEnd()) ?? [];
    if (!name || Number(value) >= 65536) return [];
    const number = value === "true" ? true : value === "false" ? false : Number(value);
    return [{ name, kind: kind as Setting["kind"], line, value: number, says }];
  });
}

/** The source with another value for some of its overrides and consts; names that it doesn't declare so are left out. */
export function withSettings(code: string, values: Record<string, number | boolean>): string {
  return code
    .split("\n")
    .map((text) => {
      const [, , name, old] = DECLARATION.exec(text.trimEnd()) ?? [];
      if (!name || !(name in values)) return text;
      const value = old === "true" || old === "false" ? String(Boolean(values[name])) : `${Number(values[name])}`;
      return text.replace(/=\s*(?:true|false|\d+)/, `= ${value}`);
    })
    .join("\n");
}

/** What a slider offers in place of a number: powers of two around a power of two, else everything near. */
export function stopsFor(value: number, ships: number): number[] {
  const isPower = (n: number): boolean => n > 0 && (n & (n - 1)) === 0;
  const most = Math.max(value, ships, 8);
  const all =
    isPower(value) && isPower(ships) && most > 4
      ? Array.from({ length: 14 }, (_, i) => 2 ** i).filter((n) => n <= Math.max(8 * most, 64))
      : Array.from({ length: 2 * most + 1 }, (_, i) => i);
  return [...new Set([...all, value, ships])].sort((a, b) => a - b);
}

/** What sizes are made of, beside arithmetic. A condition is 0 or 1. */
const FUNCTIONS: Record<string, (...given: number[]) => number> = {
  max: Math.max,
  min: Math.min,
  select: (no, yes, condition) => (condition ? yes : no),
};

const SCALARS: Record<string, number> = { f32: 4, u32: 4, i32: 4, bool: 4, f16: 2 };

/** Bytes of the variables that a workgroup shares, with the declared values in force; undefined where a declaration can't be read. */
export function workgroupBytes(code: string): number | undefined {
  const source = code.replace(/\/\/.*$/gm, "");
  const names = new Map(
    [...source.matchAll(/\b(?:override|const)\s+(\w+)(?:\s*:\s*\w+)?\s*=\s*([^;]+);/g)].map(([, name, text]) => [name!, text!]), // prettier-ignore
  );
  const aliases = new Map(
    [...source.matchAll(/\balias\s+(\w+)\s*=\s*([^;]+);/g)].map(([, name, type]) => [name!, type!]),
  );
  const structs = new Map(
    [...source.matchAll(/\bstruct\s+(\w+)\s*{([^}]*)}/g)].map(([, name, body]) => [name!, body!]),
  );
  try {
    return [...source.matchAll(/var<workgroup>\s+\w+\s*:\s*([^;]+);/g)].reduce(
      (sum, [, type]) => sum + bytesOf(type!),
      0,
    );
  } catch {
    return undefined;
  }

  function bytesOf(written: string): number {
    const type = written.trim();
    const array = /^array\s*<(.*)>$/s.exec(type);
    if (array) {
      const [element, length] = splitLast(array[1]!);
      return bytesOf(element) * valueOf(length);
    }
    const atomic = /^atomic<(.*)>$/.exec(type);
    if (atomic) return bytesOf(atomic[1]!);
    const vector = /^vec([234])(?:<(\w+)>|([fiuh]))$/.exec(type);
    if (vector) return (vector[1] === "3" ? 4 : Number(vector[1])) * (vector[2] === "f16" || vector[3] === "h" ? 2 : 4);
    const matrix = /^mat([234])x4(?:f|<f32>)$/.exec(type);
    if (matrix) return 16 * Number(matrix[1]);
    if (aliases.has(type)) return bytesOf(aliases.get(type)!);
    if (structs.has(type)) {
      const fields = [...structs.get(type)!.matchAll(/\w+\s*:\s*([\w<>]+)/g)].map(([, field]) => bytesOf(field!));
      return fields.reduce((a, b) => a + b, 0);
    }
    const scalar = SCALARS[type];
    if (scalar === undefined) throw new Error(`unknown type ${type}`);
    return scalar;
  }

  /** An expression of whole numbers and names, as declarations use them. */
  function valueOf(text: string, depth = 0): number {
    const tokens = text.match(/\w+|[-+*/%(),]/g) ?? [];
    let at = 0;
    if (depth > 20) throw new Error("a name is declared by itself");
    const sum = (): number => {
      let value = product();
      while (tokens[at] === "+" || tokens[at] === "-")
        value = tokens[at++] === "+" ? value + product() : value - product();
      return value;
    };
    const product = (): number => {
      let value = atom();
      while (/^[*/%]$/.test(tokens[at] ?? "")) {
        const operator = tokens[at++];
        const by = atom();
        value = operator === "*" ? value * by : operator === "/" ? Math.trunc(value / by) : value % by;
      }
      return value;
    };
    const atom = (): number => {
      const token = tokens[at++]!;
      if (token === "(") {
        const value = sum();
        at++;
        return value;
      }
      const call = FUNCTIONS[token];
      if (call) {
        const given: number[] = [];
        do {
          at++; // the bracket, or a comma
          given.push(sum());
        } while (tokens[at] === ",");
        at++;
        return call(...given);
      }
      if (token === "true" || token === "false") return Number(token === "true");
      if (/^\d+u?$/.test(token)) return parseInt(token);
      const declared = names.get(token);
      if (declared === undefined) throw new Error(`unknown name ${token}`);
      return valueOf(declared, depth + 1);
    };
    return sum();
  }
}

/** `array<f32, N>, M` → its parts at the last comma that is not inside of brackets. */
function splitLast(text: string): [string, string] {
  let depth = 0;
  for (let i = text.length - 1; i >= 0; i--) {
    if (text[i] === ">" || text[i] === ")") depth++;
    if (text[i] === "<" || text[i] === "(") depth--;
    if (text[i] === "," && depth === 0) return [text.slice(0, i), text.slice(i + 1)];
  }
  throw new Error(`no length in ${text}`);
}

/** Invocations of a workgroup, with the declared values in force. */
export function invocationsOf(code: string): number | undefined {
  const size = /@workgroup_size\(([^)]*)\)/.exec(code.replace(/\/\/.*$/gm, ""))?.[1];
  const values = new Map(settingsOf(code).map(({ name, value }) => [name, Number(value)]));
  const product = size?.split(",").reduce((n, part) => n * (values.get(part.trim()) ?? parseInt(part)), 1);
  return Number.isFinite(product) ? product : undefined;
}
