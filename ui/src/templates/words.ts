// Words of the pages of templates, and what may be typed there.
import type { Tone } from "../design";
import type { TemplateVersion } from "../api/types";

/** The server's longest name. */
const MOST_NAME = 32;

const RESERVED = new Set(["new", "create"]);

/** What is wrong with a template's name, before the server is asked; empty for nothing. */
export function nameProblem(name: string): string {
  if (!name) return "";
  if (name.length > MOST_NAME) return `At most ${MOST_NAME} characters; these are ${name.length}.`;
  if (RESERVED.has(name)) return "The server keeps this word for pages. Choose another.";
  return /^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$/.test(name)
    ? ""
    : "Only letters and digits, with single hyphens between them.";
}

/** A name that a template may have, from that of a folder or an archive; empty when nothing is left. */
export function nameFrom(file: string): string {
  const name = file
    .replace(/\.(tar|tar\.gz|tgz|zip)$/i, "")
    .replace(/[^a-zA-Z0-9]+/g, "-")
    .slice(0, MOST_NAME)
    .replace(/^-+|-+$/g, "");
  return RESERVED.has(name) ? "" : name;
}

const KIB = 1024;

/** Bytes for people: "812 B", "3.4 KiB", "12 MiB". */
export function bytesWord(bytes: number): string {
  if (bytes < KIB) return `${bytes} B`;
  const [size, unit] = bytes < KIB * KIB ? [bytes / KIB, "KiB"] : [bytes / KIB / KIB, "MiB"];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}

export function countWord(count: number, one: string): string {
  return `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;
}

/** How the import of a version stands. */
export function standingOf({ job, archived }: TemplateVersion): [tone: Tone, word: string] {
  if (archived) return ["paused", "Archived"];
  switch (job.status) {
    case "pending":
      return ["waiting", "Queued"];
    case "running":
      return ["working", "Importing"];
    case "canceling":
      return ["working", "Canceling"];
    case "canceled":
      return ["paused", "Canceled"];
    case "failed":
      return ["failed", "Failed"];
    default:
      return ["done", "Imported"];
  }
}

const MS_PER_HOUR = 3_600_000;

/** A length of time in hours as it stands in a field; empty for none. */
export function hoursWord(ms: number): string {
  return ms === 0 ? "" : String(Number((ms / MS_PER_HOUR).toFixed(2)));
}

/** Milliseconds of hours as somebody typed them; null for what is no length of time. */
export function hoursToMs(typed: string): number | null {
  if (!typed.trim()) return 0;
  const hours = Number(typed.replace(",", "."));
  return hours > 0 && hours <= 8760 ? Math.round(hours * MS_PER_HOUR) : null;
}
