const KEY = "gpugrad.learn";

/** Pages whose puzzle was solved in this browser. */
export function solved(): Set<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(KEY) ?? "[]") as string[]);
  } catch {
    return new Set(); // no storage, or someone else's
  }
}

export function markSolved(page: string): void {
  try {
    localStorage.setItem(KEY, JSON.stringify([...solved().add(page)]));
  } catch {
    // No storage: the course works, it only doesn't remember.
  }
}
