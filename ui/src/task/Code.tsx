import { useEffect, useState } from "react";

import { copy } from "../design/copy";
import { Plain } from "../design/Plain";
import css from "./markdown.module.css";

/** text: or what makes it, where that is work. */
export function CopyButton({
  text,
  label = "Copy",
}: {
  text: string | (() => string);
  label?: string;
}) {
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [isDone]);
  return (
    <button
      type="button"
      className={css.copy}
      onClick={() => void copy(typeof text === "string" ? text : text()).then(() => setDone(true))}
    >
      {isDone ? "Copied" : label}
    </button>
  );
}

/** A block of code with what copies it. */
export function Code({ text, language }: { text: string; language: string }) {
  return (
    <div className={css.block}>
      <div className={css.blockBar}>
        <span>{language.slice(0, 24)}</span>
        <CopyButton text={text} />
      </div>
      <pre tabIndex={0}>
        <Plain text={text.replace(/\n$/, "")} isOutput />
      </pre>
    </div>
  );
}
