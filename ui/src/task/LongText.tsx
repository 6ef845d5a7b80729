// A text of any length: folded to some lines, and opened in blocks of which only those near the screen are laid out.
import { useMemo } from "react";

import { overwritten, parseAnsi, type Piece } from "../design/ansi";
import { classes } from "../design";
import plain from "../design/plain.module.css";
import { size, visible } from "../design/text";
import css from "./entries.module.css";
import { useKept } from "./kept";
import { blocks, fold, grouped } from "./long";

/** Pixels of a line of each kind, as the style sheet has them. */
const LINE_PX = { output: 19.5, text: 20.3 };

/** Blocks from which on all of a text gets a box of its own to scroll in. */
const BOX_BLOCKS = 4;

/** side: which end of it is shown while it is folded; outputs are read from their end. */
export function LongText({
  text,
  side = "head",
  isOutput = false,
  name = "text",
}: {
  text: string;
  side?: "head" | "tail";
  isOutput?: boolean;
  name?: string;
}) {
  const [isWhole, setWhole] = useKept(`whole:${name}`, false);
  const folded = useMemo(() => fold(text, side), [text, side]);
  if (!folded.isCut) return <Pieces text={folded.shown} isOutput={isOutput} />;
  const much = folded.lines > 1 ? `${grouped(folded.lines)} lines` : size(text.length);
  const button = (
    <button
      type="button"
      className={css.showAll}
      aria-expanded={isWhole}
      onClick={() => setWhole(!isWhole)}
    >
      {isWhole ? "Show less" : `Show all (${much})`}
    </button>
  );
  if (isWhole) {
    return (
      <>
        {button}
        <Whole text={text} isOutput={isOutput} />
      </>
    );
  }
  return (
    <>
      {side === "tail" && button}
      <Pieces text={folded.shown} isOutput={isOutput} />
      {side === "head" && button}
    </>
  );
}

function Pieces({ text, isOutput }: { text: string; isOutput: boolean }) {
  const pieces = useMemo(
    () => (isOutput ? parseAnsi(overwritten(text)) : [{ text, styles: [] }]),
    [text, isOutput],
  );
  return (
    <div className={classes(plain.plain, isOutput && plain.output)} dir="auto">
      <Styled pieces={pieces} />
    </div>
  );
}

function Whole({ text, isOutput }: { text: string; isOutput: boolean }) {
  const made = useMemo(() => blocks(text, isOutput), [text, isOutput]);
  const height = isOutput ? LINE_PX.output : LINE_PX.text;
  const isBox = made.length > BOX_BLOCKS;
  return (
    <div
      className={classes(plain.plain, isOutput && plain.output, isBox && css.box)}
      {...(isBox && { tabIndex: 0, role: "region", "aria-label": "All of it" })}
      dir="auto"
    >
      {made.map((block, index) => (
        <div
          key={index}
          className={css.block}
          style={{ containIntrinsicSize: `auto ${Math.round(block.lines * height)}px` }}
        >
          <Styled pieces={block.pieces} />
        </div>
      ))}
    </div>
  );
}

function Styled({ pieces }: { pieces: readonly Piece[] }) {
  return pieces.map((piece, index) =>
    piece.styles.length ? (
      <span key={index} className={piece.styles.map((style) => plain[style]).join(" ")}>
        {visible(piece.text)}
      </span>
    ) : (
      visible(piece.text)
    ),
  );
}
