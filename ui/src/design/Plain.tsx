// Text from tasks, as text: isolated, cut where it is very long.
import { useMemo, useState } from "react";

import { classes } from ".";
import { overwritten, parseAnsi } from "./ansi";
import css from "./plain.module.css";
import { cut, size, visible } from "./text";

/** One line, cut by its box; for names and last words. */
export function Name({ text }: { text: string }) {
  return <bdi>{visible(text)}</bdi>;
}

/** A text with its line breaks. isOutput: colours of a terminal are shown. */
export function Plain({ text, isOutput = false }: { text: string; isOutput?: boolean }) {
  const [isWhole, setWhole] = useState(false);
  const start = useMemo(() => cut(text), [text]);
  const shown = isWhole || start === null ? text : start;
  return (
    <div className={classes(css.plain, isOutput && css.output)} dir="auto">
      {isOutput ? <Output text={shown} /> : visible(shown)}
      {start !== null && !isWhole && (
        <button type="button" className={css.more} onClick={() => setWhole(true)}>
          Show all {size(text.length)}
        </button>
      )}
    </div>
  );
}

function Output({ text }: { text: string }) {
  const pieces = useMemo(() => parseAnsi(overwritten(text)), [text]);
  return pieces.map((piece, index) =>
    piece.styles.length ? (
      <span key={index} className={piece.styles.map((style) => css[style]).join(" ")}>
        {visible(piece.text)}
      </span>
    ) : (
      visible(piece.text)
    ),
  );
}
