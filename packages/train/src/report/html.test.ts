import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { lines, markup, trusted } from "./html.ts";
import client from "./page-client.js?raw";
import { CLIENT_HASH } from "./page.ts";

test("values are text, in elements and attributes; HTML stays HTML; lists are joined", () => {
  const text = `<b title='"\`'>&amp;`;
  const escaped = "&#60;b title=&#39;&#34;&#96;&#39;&#62;&#38;amp;";
  expect(String(markup`<p title="${text}">${text}</p>`)).toBe(`<p title="${escaped}">${escaped}</p>`);
  expect(String(markup`<p>${markup`<b>${"<"}</b>`}${trusted("<i>")}</p>`)).toBe("<p><b>&#60;</b><i></p>");
  expect(String(markup`${[1, "a<", [markup`<br>`]]}${undefined}${false}${0}`)).toBe("1a&#60;<br>0");
  expect(String(lines([markup`<p>1</p>`, markup``, markup`<p>2</p>`]))).toBe("<p>1</p>\n<p>2</p>");
});

test("an object that looks like HTML is text", () => {
  const pretended = { toString: () => "<script>" } as unknown as string;
  expect(String(markup`${pretended}`)).toBe("&#60;script&#62;");
});

test("the page's policy knows its script", () => {
  expect(CLIENT_HASH).toBe(createHash("sha256").update(client).digest("base64"));
});
