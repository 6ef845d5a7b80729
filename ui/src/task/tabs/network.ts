// What the workspace tried to reach, in words.
import type { NetworkDecision } from "../../api/types";
import type { Tone } from "../../design";

/** What happened, and what to do about it, by the reason's code word. */
const REASONS: Readonly<Record<string, readonly [what: string, todo: string]>> = {
  listed: ["Listed by the template", ""],
  host_not_listed: ["Host not listed", "List it with its port in the template."],
  port_not_listed: ["Port not listed", "The host is listed with other ports. List this one too."],
  not_tcp: ["Not TCP", "Only TCP leaves a workspace. HTTP/3 falls back to it by itself."],
  address_not_public: ["Address not public", "List the address itself, if that is meant."],
  http_only: ["Plain HTTP only", "All that lists it has methods or paths. List it without."],
  method_not_listed: ["Method not listed", "List the method."],
  path_not_listed: ["Path not listed", "List a prefix of the path."],
  path_unclear: ["Path unclear", "Servers may read it in two ways. Ask for it in its plain form."],
  host_differs: ["Another host was asked for", "Ask each host on a connection of its own."],
  request_invalid: ["No clean HTTP/1.1", "Mend the program."],
  sni_differs: ["TLS asked for another name", "Connect to the name that is meant."],
  sni_missing: ["TLS asked for no name", "Connect to the name that is meant."],
  hello_unreadable: ["TLS that cannot be read", "Mend the program."],
  target_invalid: ["No host and port", "Write the address in full."],
  too_many_connections: ["Too many connections", "The workspace has 64 already. Close some."],
  name_unknown: ["Nobody knows the name", "It is allowed. Look at the name."],
  unreachable: ["Nobody answered", "It is allowed. Look at the other side."],
  timeout: ["No answer in time", "It is allowed. Look at the other side."],
  answer_invalid: ["The answer was not HTTP", "It is allowed. Look at the other side."],
};

export function reasonOf(code: string): readonly [what: string, todo: string] {
  return REASONS[code] ?? [code.replaceAll("_", " "), ""];
}

export const VERDICTS: Readonly<
  Record<NetworkDecision["verdict"], readonly [tone: Tone, word: string]>
> = {
  allowed: ["idle", "Allowed"],
  refused: ["failed", "Refused"],
  failed: ["waiting", "Failed"],
};

/** Host and port as people write them; an IPv6 address in brackets. */
export function placeOf({ host, port }: Pick<NetworkDecision, "host" | "port">): string {
  if (port === null) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export function requestOf({ method, path }: Pick<NetworkDecision, "method" | "path">): string {
  return [method, path].filter(Boolean).join(" ");
}

/** Attempts by verdict, counted. */
export function countsOf(
  rows: readonly Pick<NetworkDecision, "verdict" | "count">[],
): Record<NetworkDecision["verdict"], number> {
  const counts = { allowed: 0, refused: 0, failed: 0 };
  for (const { verdict, count } of rows) counts[verdict] += count;
  return counts;
}
