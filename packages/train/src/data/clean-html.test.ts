import { describe, expect, test } from "vitest";
import { timesWhenDoubled } from "../../test/doubling.ts";
import { cleanHtml } from "./clean-html.ts";

describe("cleanHtml", () => {
  test.each([
    ["a<br /><br>b &amp; c", "a b & c"],
    ["x &lt; y, 3 < 4, <3 and <-", "x < y, 3 < 4, <3 and <-"],
    ["a <!-- b\n<i> --> c <!-- d", "a c <!-- d"],
    ["<!--> a --> b <!--", "b <!--"],
    ["<p title='<!-- x -->'>y", "<p title=' '>y"], // a tag has no < of its own
    ["a --> b <i>c</i> <!-- <b>d", "a --> b c <!-- d"],
    ["&#39;&#x27;&#x1F600;&eacute;", "''😀é"],
    ["&constructor; &__proto__; &toString; &hasOwnProperty;", "&constructor; &__proto__; &toString; &hasOwnProperty;"],
    ["&#0; &#xD800; &#57343; &#x110000; &#9999999;", "&#0; &#xD800; &#57343; &#x110000; &#9999999;"],
    ["\t a \u00a0\n b ", "a b"],
  ])("%j", (text, cleaned) => {
    expect(cleanHtml(text)).toBe(cleaned);
  });

  test.each([
    ...[
      "<!--",
      "-->",
      "<!-- -->",
      "<!-->",
      "<b",
      "<b ",
      "</",
      "<",
      ">",
      "<a title='",
      '<a b="',
      "<![CDATA[",
      "<script>",
      "&",
    ],
    ...["&a", "&amp", "&#1", "&#x", "&;", " ", "\u00a0", "<!--<b", "<!--->x", "\ud800"],
  ])("takes time in proportion to the text: %j again and again", async (piece) => {
    for (const end of ["", "-->", "<!--"]) {
      const clean = (n: number) => cleanHtml(piece.repeat(n / piece.length) + end);
      expect(await timesWhenDoubled(clean, 1 << 19), end).toBeLessThan(3);
    }
  });
});
