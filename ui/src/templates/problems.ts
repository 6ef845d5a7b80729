// What an import found wrong, and where: its log has a line for each, such as "taskyard.toml:7: workspace.memroy: …".
import type { LogLine } from "../task/tabs/logLines";

export interface Problem {
  /** File in the template; empty where the problem has no place. */
  file: string;
  /** Counted from 1; null where only the file is known. */
  line: number | null;
  text: string;
  /** The line of the log that says so; null where only the import as a whole does. */
  logged: number | null;
}

const PLACE = /^([^\s:]+(?: [^\s:]+)*):(?:(\d+):)? (.+)$/s;

/** A file has an ending or is below a folder; other words before a colon are only words. */
const FILE = /[./]/;

export function problemOf(said: string): Omit<Problem, "logged"> {
  const found = PLACE.exec(said);
  const [, file = "", line, text = said] = found && FILE.test(found[1]!) ? found : [];
  return { file, line: line === undefined ? null : Number(line), text };
}

/** Problems in the order of the log. Its end repeats what the import as a whole says, which counts only where nothing else does. */
export function problemsOf(lines: readonly LogLine[], said: string): Problem[] {
  const grave = lines.filter((line) => line.level === "error");
  const own = grave.filter((line) => line.text !== said);
  if (own.length > 0) return own.map((line) => ({ ...problemOf(line.text), logged: line.id }));
  return said ? [{ ...problemOf(said), logged: grave[0]?.id ?? null }] : [];
}

export interface SourceLine {
  number: number;
  text: string;
}

/** Lines above and below a place that are shown with it. */
const AROUND = 2;

/** The lines around one that is counted from 1; none when the text has no such line. */
export function around(source: string, line: number): SourceLine[] {
  const all = source.split(/\r?\n/);
  if (line > all.length) return [];
  const from = Math.max(1, line - AROUND);
  return all.slice(from - 1, line + AROUND).map((text, index) => ({ number: from + index, text }));
}
