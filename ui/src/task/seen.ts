// Which questions are on the screen now.
import { createContext, useSyncExternalStore } from "react";

export class SeenIds {
  private ids: ReadonlySet<string> = new Set();
  private readonly watchers = new Set<() => void>();

  set(id: string, isSeen: boolean): void {
    if (this.ids.has(id) === isSeen) return;
    const next = new Set(this.ids);
    if (isSeen) next.add(id);
    else next.delete(id);
    this.ids = next;
    for (const watcher of this.watchers) watcher();
  }

  useAll(): ReadonlySet<string> {
    return useSyncExternalStore(this.watch, this.get);
  }

  private readonly get = () => this.ids;

  private readonly watch = (tell: () => void) => {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  };
}

export const Seen = createContext<SeenIds | null>(null);
