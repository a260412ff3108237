// What an editor shows of what packages export: each function, class and public method has a comment. Read off the syntax, without types.
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { destroy, init, scope, tensor, type DType, type Tensor } from "@gpugrad/tensor";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";

beforeAll(async () => void (await init()));
afterAll(destroy);

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = new Map<string, ts.SourceFile>();
function sourceOf(file: string): ts.SourceFile {
  let source = sources.get(file);
  if (!source)
    sources.set(file, (source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.ES2022, true)));
  return source;
}

/** Values that an index exports, with the files that declare them. */
function exportsOf(index: string): { name: string; file: string }[] {
  return sourceOf(index).statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement) || statement.isTypeOnly) return [];
    const from = (statement.moduleSpecifier as ts.StringLiteral | undefined)?.text;
    if (from?.startsWith(".") && !statement.exportClause) return exportsOf(join(dirname(index), from)); // export *
    if (!from?.startsWith(".") || !statement.exportClause || !ts.isNamedExports(statement.exportClause)) return [];
    return statement.exportClause.elements
      .filter((element) => !element.isTypeOnly)
      .map((element) => ({ name: (element.propertyName ?? element.name).text, file: join(dirname(index), from) }));
  });
}

const isDocumented = (node: ts.Node): boolean => ts.getJSDocCommentsAndTags(node).length > 0;
/** Private members, and those whose comment is the one of what they override or implement. */
const isHidden = (member: ts.ClassElement): boolean =>
  (ts.getCombinedModifierFlags(member) &
    (ts.ModifierFlags.Private | ts.ModifierFlags.Protected | ts.ModifierFlags.Override)) !==
    0 ||
  !member.name ||
  ts.isPrivateIdentifier(member.name) ||
  ts.isComputedPropertyName(member.name);
const implementsSome = (declared: ts.ClassDeclaration): boolean =>
  declared.heritageClauses?.some(({ token }) => token === ts.SyntaxKind.ImplementsKeyword) ?? false;

/** Methods that say by their names what they do, in every class. */
const plain = new Set(["forward", "toString", "dispose"]);

/** What is missing of a declaration: the name itself, or methods of the class. */
function missing(name: string, file: string): string[] {
  const found = sourceOf(file).statements.find((statement) =>
    ts.isVariableStatement(statement)
      ? statement.declarationList.declarations.some((one) => one.name.getText() === name)
      : (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) && statement.name?.text === name,
  );
  if (!found) return []; // re-exported once more: the file that declares it is reached through its own index, or is a platform's
  const own = isDocumented(found) || hasOverload(name, file) ? [] : [name];
  if (!ts.isClassDeclaration(found) || (implementsSome(found) && name !== "Tensor")) return own;
  const methods = found.members.filter((member) => ts.isMethodDeclaration(member) && !isHidden(member));
  const bare = methods.map((method) => ({ method: method.name!.getText(), documented: isDocumented(method) }));
  const documented = new Set(bare.filter((one) => one.documented).map(({ method }) => method)); // one of several overloads is enough
  return [...own, ...new Set(bare.filter(({ method }) => !documented.has(method) && !plain.has(method)).map(({ method }) => `${name}.${method}`))]; // prettier-ignore
}

/** Whether another declaration of the same function has the comment. */
const hasOverload = (name: string, file: string): boolean =>
  sourceOf(file).statements.some(
    (one) => ts.isFunctionDeclaration(one) && one.name?.text === name && isDocumented(one),
  );

test.each(["tensor", "autograd", "nn", "train"])("everything that %s exports has a comment", (name) => {
  const exported = exportsOf(join(root, "packages", name, "src/index.ts"));
  expect(exported.length).toBeGreaterThan(5);
  expect(exported.flatMap((one) => missing(one.name, one.file).map((what) => `${relative(root, one.file)}: ${what}`))).toEqual([]); // prettier-ignore
});

const methods = (): ts.TypeElement[] => {
  const members: ts.TypeElement[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isInterfaceDeclaration(node) && node.name.text === "Tensor") members.push(...node.members);
    ts.forEachChild(node, visit);
  };
  visit(sourceOf(join(root, "packages/tensor/src/methods.ts")));
  return members.filter((member) => member.name && !ts.isComputedPropertyName(member.name));
};

test("every method of a tensor has a comment", () => {
  expect(methods().length).toBeGreaterThan(50);
  expect(methods().filter((method) => !isDocumented(method)).map((method) => method.name!.getText())).toEqual([]); // prettier-ignore
});

const commentOf = (method: ts.Node): string => ts.getJSDocCommentsAndTags(method)[0]!.getText();

/** What the comments say of the result's dtype where it depends on x's, longest first. */
const dtypes: Record<string, { f16: DType; bool: DType }> = {
  "x's dtype, of 16 bits f32, of bool i32": { f16: "f32", bool: "i32" },
  "x's dtype, of 16 bits f32": { f16: "f32", bool: "bool" },
  "x's dtype": { f16: "f16", bool: "bool" },
  "i32 and u32 stay, others become f32": { f16: "f32", bool: "f32" },
};

test.each(methods().map((method) => [method.name!.getText(), method] as const))(
  "the comment of %s says which dtype it gives, and what it throws if its arguments can be wrong",
  (_, method) => {
    const comment = commentOf(method);
    const [sentences] = comment.split(/^\s*\* @/m);
    expect(sentences).toMatch(/\b(f32|i32|u32|bool|dtype)\b|as \{@link/);
    const required = (method as ts.MethodSignature).parameters.some(
      ({ type }) => !/^GeluOptions$/.test(type!.getText()),
    );
    if (required) expect(comment).toContain("@throws");
  },
);

const examples = methods().flatMap((method) =>
  ts.getJSDocTags(method)
    .filter(({ tagName }) => tagName.text === "example")
    .map((tag) => [method.name!.getText(), ...ts.getTextOfJSDocComment(tag.comment)!.split("; // "), commentOf(method)] as [string, string, string, string]),
); // prettier-ignore

test.each(examples)("the example of %s gives what it says: %s", async (name, code, wanted) => {
  expect(code).toContain(`.${name}(`);
  await scope(async () => {
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the comments are ours: their own code, with only tensor() in reach
    const run = new Function("tensor", `return ${code}`) as (make: typeof tensor) => Tensor;
    expect(await run(tensor).toArray()).toEqual(JSON.parse(wanted));
  });
});

const depending = examples.flatMap(([name, code, , comment]) => {
  const said = Object.keys(dtypes).find((words) => comment.includes(words));
  return said === undefined ? [] : [[name, code, said] as const];
});

test.each(depending)("%s gives the dtype that its comment says: %s, %s", (_, code, said) => {
  for (const [from, to] of Object.entries(dtypes[said]!)) {
    scope(() => {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- as above
      const run = new Function("tensor", "of", `return ${code.replace("tensor(", "of(")}`) as (
        make: typeof tensor,
        of: (values: number[]) => Tensor,
      ) => Tensor;
      expect(run(tensor, (values) => tensor(values).to(from as DType)).dtype).toBe(to);
    });
  }
});

test("there are examples", () => expect(examples.length).toBeGreaterThan(50));
