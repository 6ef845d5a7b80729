// Who answered a question, and how long it waits, in words.
import { visible } from "../design/text";
import { span } from "../design/time";

export function answeredBy(by: string, name: string | null): string {
  switch (by) {
    case "person":
      return name ? `, by ${visible(name)}` : ", by somebody";
    case "policy":
      return ", by the template's rule";
    case "timeout":
      return ", as nobody answered in time";
    default:
      return "";
  }
}

/** Until when a question waits. */
export function leftWords(expires: number, now: number): string {
  const left = expires - now;
  if (left <= 0) return "It is denied by itself now.";
  if (left < 60_000) return "Denied by itself in less than a minute.";
  return `Denied by itself in ${span(Math.floor(left / 60_000) * 60_000).replace(/ 0 (s|min)$/, "")}.`;
}
