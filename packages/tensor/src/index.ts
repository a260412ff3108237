// What functional.ts exports, and ops as methods of tensors.
import "./methods.ts";

export * from "./functional.ts";
