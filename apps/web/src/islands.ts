/** What a page can hold besides text: loaded when the page is opened. `mount` fills the element, and gives the function that ends it. */
export interface Island {
  mount(root: HTMLElement, options: unknown): () => void;
}

export const islands: Record<string, () => Promise<Island>> = {
  course: () => import("./learn/course.ts"),
  explore: () => import("./explore/explore-island.ts"),
  learn: () => import("./learn/learn.ts"),
  "online-softmax": () => import("./step/online-island.ts"),
  owners: () => import("./step/owners-island.ts"),
  "step-attention": () => import("./step/attention-island.ts"),
  "step-matmul": () => import("./step/matmul-island.ts"),
  play: () => import("./play/play.ts"),
  recorded: () => import("./play/recorded.ts"),
  tape: () => import("./tape/tape.ts"),
};
