import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const fakeCommit = "0123456789abcdef0123456789abcdef01234567";
export const blobIdOf = (content: Uint8Array): string =>
  createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");

/** What a {@link startFakeHub} answers where it is not the right thing. */
export interface Lies {
  /** Instead of the answer about a revision. */
  revision?: unknown;
  /** Instead of lists of files. */
  files?: unknown;
  /** Does all itself; false leaves it to the rest. */
  answer?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** The few requests of the Hub's protocol that a download of small files makes, each of which may be answered by a lie. */
export async function startFakeHub(files: Record<string, Uint8Array>, lies: Lies = {}) {
  const requests: { method: string; url: string; authorization: string | undefined; range: string | undefined }[] = [];
  const server = createServer((request, response) => {
    const { method = "", url = "" } = request;
    requests.push({ method, url, authorization: request.headers.authorization, range: request.headers.range });
    if (lies.answer?.(request, response)) return;
    const json = (value: unknown) =>
      response.setHeader("Content-Type", "application/json").end(typeof value === "string" ? value : JSON.stringify(value)); // prettier-ignore
    if (url.includes("/revision/")) return json(lies.revision ?? { sha: fakeCommit });
    if (/\/(tree|paths-info)\//.test(url))
      return json(
        lies.files ??
          Object.entries(files).map(([path, content]) => ({
            ...{ type: "file", path, size: content.length, oid: blobIdOf(content) },
          })),
      );
    const content = files[decodeURIComponent(url.split("/").slice(5).join("/"))];
    if (!content) return response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end();
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    return response.writeHead(start > 0 ? 206 : 200).end(content.subarray(start));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    lies,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
