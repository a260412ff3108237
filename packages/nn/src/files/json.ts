import { check, GpugradError } from "@gpugrad/tensor";
import type { Folder } from "./folder.ts";

/** The whole text of a file of `folder`; undefined when there is no such file. @throws {@link GpugradError} when it is not UTF-8. */
export async function readText(folder: Folder, file: string): Promise<string | undefined> {
  const source = await folder.open(file);
  if (!source) return undefined;
  try {
    return decodeText(await source.read(0, source.size), source.name);
  } finally {
    await source.close();
  }
}

/** UTF-8 as text. @throws {@link GpugradError} naming `what` when it is not UTF-8, or too long for a string. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new GpugradError(`${what}: not a text in UTF-8, or too long: ${bytes.length} bytes. Is the file complete?`);
  }
}

/** A JSON object: its keys may be anything, `__proto__` included. */
export type Json = Record<string, unknown>;

/** Whether a value of JSON is an object, rather than a list or null. */
export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Levels of objects and lists in each other; serde_json, which reads these files in Rust, allows as many. */
const maxNesting = 128;

/** A JSON object of `folder`; undefined when there is no such file. @throws {@link GpugradError} as {@link parseJsonObject} does. */
export async function readJson(folder: Folder, file: string): Promise<Json | undefined> {
  const text = await readText(folder, file);
  return text === undefined ? undefined : parseJsonObject(text, `${folder.name}/${file}`);
}

/** Parses `text` as JSON. @throws {@link GpugradError} naming `what` when it is not JSON, or nested too deeply. */
export function parseJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new GpugradError(`${what}: not JSON: ${(error as Error).message}. Is the file complete?`);
  }
  check(!isDeeperThan(value, maxNesting), () => `${what}: nested more than ${maxNesting} levels deep.`);
  return value;
}

/** Parses `text` as a JSON object. @throws {@link GpugradError} naming `what` when it is not one, as {@link parseJson} does too. */
export function parseJsonObject(text: string, what: string): Json {
  const value = parseJson(text, what);
  check(isObject(value), () => `${what}: expected a JSON object, found ${text.slice(0, 40)}`);
  return value;
}

/** Whether objects and lists are in each other so often; without recursion, which deep values would exhaust. */
function isDeeperThan(value: unknown, levels: number): boolean {
  const objectsOf = (values: unknown[]) =>
    values.filter((child): child is object => typeof child === "object" && child !== null);
  let level = objectsOf([value]);
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= levels) return true;
    level = level.flatMap((parent) => objectsOf(Object.values(parent)));
  }
  return false;
}
