// The lines of several logs as one, in the order of their times.
export type Level = "trace" | "debug" | "info" | "warn" | "error";

export interface LogLine {
  /** Which log it is of, and its place there. */
  log: string;
  id: number;
  at: number;
  level: Level;
  source: string;
  text: string;
}

export class LogBook {
  private kept: LogLine[] = [];
  private readonly lasts = new Map<string, number>();
  private readonly watchers = new Set<() => void>();

  /** The lines; another array each time that there are more. */
  get lines(): readonly LogLine[] {
    return this.kept;
  }

  /** Id of the newest line of a log, behind which more is asked for. */
  last(log: string): number {
    return this.lasts.get(log) ?? 0;
  }

  /** Lines of one log, their ids rising; known ones are left out. */
  add(log: string, given: readonly Omit<LogLine, "log">[]): void {
    const last = this.last(log);
    const fresh = given.filter((line) => line.id > last).map((line) => ({ ...line, log }));
    if (fresh.length === 0) return;
    this.lasts.set(log, fresh[fresh.length - 1]!.id);
    const before = this.kept[this.kept.length - 1]?.at ?? -Infinity;
    this.kept = [...this.kept, ...fresh];
    // Nearly always they are the newest: the sort, which keeps the order of equals, is for where two logs meet.
    if (fresh.some((line, index) => line.at < (fresh[index - 1]?.at ?? before))) {
      this.kept.sort((one, other) => one.at - other.at);
    }
    for (const watcher of this.watchers) watcher();
  }

  watch = (tell: () => void): (() => void) => {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  };
}

const pad = (number: number) => String(number).padStart(2, "0");

/** The time of day to the second, where the reader is. */
export function clock(at: number): string {
  const time = new Date(at);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(pad).join(":");
}

/** Lines for the clipboard: time, level, who wrote it, what. */
export function asText(lines: readonly LogLine[]): string {
  return lines
    .map(({ at, level, source, text }) => {
      const time = new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
      return `${time} [${level}] ${source}: ${text}\n`;
    })
    .join("");
}

const GRAVE: ReadonlySet<Level> = new Set(["warn", "error"]);

export function graveOnly(lines: readonly LogLine[]): readonly LogLine[] {
  return lines.filter((line) => GRAVE.has(line.level));
}
