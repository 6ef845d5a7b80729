// Times and lengths of time as the settings pages say them.
import { age } from "../design/time";

/** The server's word for a time that has not come yet. */
export function isNever(at: string): boolean {
  return at.startsWith("0001-01-01");
}

/** Milliseconds by which a time to come may be nearer than it is called. */
const MOMENT_MS = 60_000;

const DAY_MS = 86_400_000;

/** Days up to which a time to come is said in days: one plans by them, not by months. */
const MOST_DAYS = 90;

/** "just now", "3h ago", "in 29d", or never. */
export function when(at: string, now: number, never = "never"): string {
  if (isNever(at)) return never;
  const then = Date.parse(at);
  // What was made for 30 days a moment ago ends in 30 days, not in 29.
  if (then > now + 5000) {
    const left = then + MOMENT_MS - now;
    const days = Math.floor(left / DAY_MS);
    return days > 0 && days <= MOST_DAYS ? `in ${days}d` : `in ${age(0, left)}`;
  }
  const word = age(then, now);
  return word === "now" ? "just now" : `${word} ago`;
}

/** Lifetimes that are offered for a token, in days. */
const OFFERED = [1, 7, 30, 90, 365] as const;

const NS_PER_DAY = 86_400 * 1e9;

export function daysOf(nanoseconds: number): number {
  return Math.floor(nanoseconds / NS_PER_DAY);
}

/** Whole days as the nanoseconds of the wire. A day is a multiple of 2^13 ns, so the number stays exact to 100 years. */
export function lifetimeOf(days: number): number {
  return days * NS_PER_DAY;
}

/** What to choose from where tokens may live for so many days at most. */
export function offeredDays(most: number): number[] {
  return OFFERED.filter((days) => days <= most);
}

export function daysWord(days: number): string {
  return days === 1 ? "1 day" : days === 365 ? "1 year" : `${days} days`;
}

/** What is wrong with a number of days that somebody typed; empty for nothing. */
export function daysProblem(text: string, most: number): string {
  const days = Number(text);
  if (!/^\d+$/.test(text.trim()) || days < 1) return "Give a whole number of days.";
  return days > most ? `${most.toLocaleString()} days are the most.` : "";
}

/** What is wrong with the name of a secret, before the server is asked; empty for nothing. */
export function secretNameProblem(name: string): string {
  if (!name) return "";
  if (/^\d/.test(name)) return "No digit first.";
  return /^\w*$/.test(name) && /^[\x20-\x7e]*$/.test(name)
    ? ""
    : "Only letters, digits and _, as for a variable of the environment.";
}
