import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** A statement in a file, as StrykerJS names ranges: lines from 1, columns from 0. */
export interface Place {
  file: string;
  range: string;
}

/** The statements of a file that run when a function is called: what runs once, as it is loaded, would need all tests for each change. */
export function statementsIn(root: string, file: string): Place[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.Latest, true);
  const places: Place[] = [];
  const position = (at: number) => {
    const { line, character } = source.getLineAndCharacterOfPosition(at);
    return `${line + 1}:${character}`;
  };
  const visit = (node: ts.Node, inFunction: boolean): void => {
    const isLeaf = ts.isExpressionStatement(node) || ts.isVariableStatement(node) || ts.isReturnStatement(node);
    if (inFunction && isLeaf) places.push({ file, range: `${position(node.getStart())}-${position(node.getEnd())}` });
    if (inFunction && (ts.isIfStatement(node) || ts.isWhileStatement(node)))
      places.push({ file, range: `${position(node.expression.getStart())}-${position(node.expression.getEnd())}` });
    ts.forEachChild(node, (child) => visit(child, inFunction || ts.isFunctionLike(node)));
  };
  visit(source, false);
  return places;
}
