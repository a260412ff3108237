/** What a page can hold besides text: loaded when the page is opened. `mount` fills the element, and gives the function that ends it. */
export interface Island {
  mount(root: HTMLElement, options: unknown): () => void;
}

export const islands: Record<string, () => Promise<Island>> = {
  course: () => import("./learn/course.ts"),
  learn: () => import("./learn/learn.ts"),
  tape: () => import("./tape/tape.ts"),
};
