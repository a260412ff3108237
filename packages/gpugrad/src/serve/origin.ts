import { isIP } from "node:net";
import { RequestError } from "./request.ts";

/** Which sites may reach a server, and whose pages. */
export interface Origins {
  /** Where the server listens. */
  host: string;
  /** Names under which it is reached, beside addresses and localhost; `*` for any. */
  allowedHosts: readonly string[];
  /** Origins whose pages may ask, `https://example.com`; `*` for any. */
  corsOrigin: readonly string[];
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127\./.test(host);

/** The name or address in a Host header or an origin, without port and brackets, in lower case. */
function hostname(host: string): string {
  const name = /^\[([^\]]*)\](:\d*)?$/.exec(host)?.[1] ?? host.replace(/:\d*$/, "");
  return name.toLowerCase().replace(/\.$/, "");
}

/**
 * A page of any site can send requests to an address that its visitor reaches, also to 127.0.0.1, and give its own name that address
 * ("DNS rebinding"), so that a browser lets it read the answers. Such a request bears the site's name in `Host`.
 *
 * @throws {@link RequestError} 421 for a name that isn't this server's
 */
export function checkHost(header: string | undefined, { host, allowedHosts }: Origins): void {
  if (header === undefined) return; // HTTP/1.0, which browsers don't speak
  if (allowedHosts.includes("*") || (allowedHosts.length === 0 && !isLoopback(host))) return;
  const name = hostname(header);
  const isOwn = isIP(name) !== 0 || name === "localhost" || name.endsWith(".localhost");
  if (isOwn || allowedHosts.some((allowed) => hostname(allowed) === name)) return;
  throw new RequestError(
    421,
    "host_not_allowed",
    `the request is for ${JSON.stringify(header.slice(0, 100))}, which is not a name of this server. --allowed_hosts adds names.`,
  );
}

/**
 * The headers that let a page read the answer: none for the server's own pages and for what isn't a page.
 *
 * @throws {@link RequestError} 403 for a page of a site that isn't allowed to ask
 * @see https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CORS
 */
export function corsHeaders(
  { origin, host }: { origin?: string | undefined; host?: string | undefined },
  { corsOrigin }: Pick<Origins, "corsOrigin">,
): Record<string, string> {
  if (origin === undefined || (URL.canParse(origin) && new URL(origin).host === host?.toLowerCase())) return {};
  if (!corsOrigin.includes("*") && !corsOrigin.includes(origin))
    throw new RequestError(
      403,
      "origin_not_allowed",
      `a page of ${JSON.stringify(origin.slice(0, 100))} may not ask this server. --cors_origin allows it.`,
    );
  return {
    "access-control-allow-origin": corsOrigin.includes("*") ? "*" : origin,
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "600",
    vary: "origin",
  };
}
