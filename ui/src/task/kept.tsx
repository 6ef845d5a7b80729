// What somebody opened stays open while it is scrolled out of the document and back.
import { createContext, use, useCallback, useState, type ReactNode } from "react";

const Kept = createContext<Map<string, boolean>>(new Map());
const Name = createContext("");

export function KeptStates({
  store,
  children,
}: {
  store: Map<string, boolean>;
  children: ReactNode;
}) {
  return <Kept value={store}>{children}</Kept>;
}

/** Names what is inside, below the names around it. */
export function Named({ name, children }: { name: string; children: ReactNode }) {
  const outer = use(Name);
  return <Name value={`${outer}/${name}`}>{children}</Name>;
}

/** As useState, kept by the names around it and its own. */
export function useKept(
  name: string,
  initial: boolean,
): readonly [boolean, (value: boolean) => void] {
  const store = use(Kept);
  const key = `${use(Name)}:${name}`;
  const [value, setValue] = useState(() => store.get(key) ?? initial);
  const keep = useCallback(
    (next: boolean) => {
      store.set(key, next);
      setValue(next);
    },
    [store, key],
  );
  return [value, keep];
}
