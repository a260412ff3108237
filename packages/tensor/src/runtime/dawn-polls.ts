/**
 * Makes waiting for the GPU cheap in Node.
 *
 * While a GPU promise is pending, Dawn's binding polls it from `setImmediate`, again and again, and so takes one whole
 * core: on a CPU adapter, a core that the kernels need. Each poll of Dawn's first sleeps for 10 % of the time waited
 * so far, at most 1 ms: short waits stay short, and long ones leave the core alone. Other users of `setImmediate` are
 * passed through untouched.
 */
export function throttleDawnPolls(): void {
  if (Object.hasOwn(globalThis.setImmediate, throttled)) return;
  const setImmediate = globalThis.setImmediate;
  const neverNotified = new Int32Array(new SharedArrayBuffer(4));
  let waitingSince = 0;
  let insidePoll = false;

  const replacement = (callback: (...args: unknown[]) => void, ...args: unknown[]): NodeJS.Immediate => {
    if (args.length > 0 || !isNative(callback)) return setImmediate(callback, ...args);
    // Dawn asks for its next poll from within a poll; asking from elsewhere begins another wait.
    if (!insidePoll) waitingSince = performance.now();
    return setImmediate(() => {
      const sleep = Math.min(1, 0.1 * (performance.now() - waitingSince));
      if (sleep > 0.02) Atomics.wait(neverNotified, 0, 0, sleep);
      insidePoll = true;
      try {
        callback();
      } finally {
        insidePoll = false;
      }
    });
  };
  // setImmediate carries util.promisify's hook as a property.
  Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(setImmediate));
  Object.defineProperty(replacement, throttled, { value: true });
  globalThis.setImmediate = replacement as typeof setImmediate;
}

const throttled = Symbol.for("gpugrad.throttledDawnPolls");

/** Dawn's poll is an unnamed function made in C++: no JavaScript function looks so (bound ones are named `bound …`). */
function isNative(callback: { name: string; toString(): string }): boolean {
  return callback.name === "" && callback.toString() === "function () { [native code] }";
}
