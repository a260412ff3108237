import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What can be made: the folder of its templates is named so. */
export type Kind = "op" | "model";

/** Where rooms of each kind are. */
export const homes: Record<Kind, string> = { op: "packages/tensor/src/ops", model: "packages/bert/src/models" };

/** The files of a new room by their names, with `name` in place of the placeholders. */
export function filled(kind: Kind, name: string): Map<string, string> {
  const templates = join(dirname(fileURLToPath(import.meta.url)), kind);
  const put = (text: string): string =>
    text.replace(/__(kebab|snake|camel|Pascal)__/g, (_, form: string) => forms[form]!);
  const Pascal = name.replace(/(?:^|-)(.)/g, (_, first: string) => first.toUpperCase());
  const forms: Record<string, string> = {
    ...{ kebab: name, snake: name.replaceAll("-", "_"), Pascal },
    camel: Pascal[0]!.toLowerCase() + Pascal.slice(1),
  };
  const files = readdirSync(templates).map((file) => join(templates, file));
  return new Map(
    files.map((file) => [
      put(file.slice(templates.length + 1).replace(/\.template$/, "")),
      put(readFileSync(file, "utf8")),
    ]),
  );
}

/** Writes a new room into the repository at `root`, and gives the paths of its files. @throws for a name that can't be, or is there */
export function makeRoom(root: string, kind: Kind, name: string): string[] {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
    throw new Error(`new:${kind}: ${JSON.stringify(name)} is not a name such as "softsign" or "my-${kind}".`);
  const room = `${homes[kind]}/${name}`;
  if (existsSync(join(root, room))) throw new Error(`new:${kind}: ${room} is there already. Take another name.`);
  mkdirSync(join(root, room), { recursive: true });
  return Array.from(filled(kind, name), ([file, text]) => {
    writeFileSync(join(root, room, file), text);
    return `${room}/${file}`;
  });
}
