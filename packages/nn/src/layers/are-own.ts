/** Whether modules compute by the `forward` of these classes, so that one kernel may do the work of several of them. */
export const areOwn = (
  ...modules: (readonly [module: object, itsClass: { prototype: { forward: unknown } }])[]
): boolean =>
  modules.every(([module, { prototype }]) => (module as { forward: unknown }).forward === prototype.forward);
