import { rulesOf, startOf, valuesOf } from "./launch.ts";
import type { AdapterFacts, Source } from "./protocol.ts";
import { invocationsOf, workgroupBytes } from "./source.ts";

/** Something that must stay true of a kernel's settings. */
export interface Invariant {
  says: string;
  holds: boolean;
  /** Settings that it is about. */
  of: string[];
}

const shown = (n: number): string => n.toLocaleString("en");

/** What must be true of `code`, an edited `shipped`, on an adapter. */
export function invariantsOf(shipped: Source, code: string, facts: Omit<AdapterFacts, "description">): Invariant[] {
  const bytes = workgroupBytes(code);
  const invocations = invocationsOf(code);
  const { groups } = startOf({ file: shipped.file, code }, shipped);
  const started = groups.filter((n, i) => i === 0 || n > 1).map(shown).join(" × "); // prettier-ignore
  return [
    ...(bytes === undefined || bytes === 0
      ? []
      : [{ says: `${shown(bytes)} bytes of workgroup memory, of ${shown(facts.workgroupBytes)} here`, holds: bytes <= facts.workgroupBytes, of: [] }]), // prettier-ignore
    ...(invocations === undefined
      ? []
      : [{ says: `${shown(invocations)} invocations in a workgroup, of ${shown(facts.workgroupInvocations)} here`, holds: invocations >= 1 && invocations <= facts.workgroupInvocations, of: [] }]), // prettier-ignore
    { says: `${started} workgroups for these sizes`, holds: groups.every((n) => n > 0 && n <= 65535), of: [] },
    ...rulesOf(shipped, valuesOf(code), facts),
  ];
}
