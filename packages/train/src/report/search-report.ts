import type { SearchReport } from "./search-page.ts";

/** A page with a picture and a table of all trials, which needs nothing else. Trials come best first. */
export async function searchReport(report: SearchReport): Promise<string> {
  const { searchPage } = await import("./search-page.ts"); // with its charts, for this alone
  return searchPage(report);
}
