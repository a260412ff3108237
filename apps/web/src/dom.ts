type Child = Node | string | number | false | null | undefined;
type Properties<E> = { [K in keyof E]?: E[K] extends ((...args: never[]) => unknown) | null ? E[K] : E[K] | string } & {
  attrs?: Record<string, string | number>;
};

/** An element with its properties and children: `h("button", { onclick: run }, "Run")`. Text stays text. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { attrs = {}, ...properties }: Properties<HTMLElementTagNameMap[K]> = {},
  ...children: (Child | Child[])[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attrs)) element.setAttribute(name, `${value}`);
  element.append(...shown(children));
  return element;
}

/** The same for a drawing: attributes only. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number> = {},
  ...children: (Child | Child[])[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, `${value}`);
  element.append(...shown(children));
  return element;
}

function shown(children: (Child | Child[])[]): (Node | string)[] {
  return children
    .flat()
    .filter((child) => child !== false && child !== null && child !== undefined)
    .map((child) => (typeof child === "number" ? `${child}` : child));
}

/** The address of a page of this site: `kernels/matmul.html`, wherever it is served from. */
export const addressOf = (page: string): string => import.meta.env.BASE_URL + page;
