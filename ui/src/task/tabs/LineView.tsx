import { Plain } from "../../design/Plain";
import { visible } from "../../design/text";
import { absolute } from "../../design/time";
import { clock, type LogLine } from "./logLines";
import css from "./tabs.module.css";

/** A line of a log: when, who, what. */
export function LineView({ line }: { line: LogLine }) {
  const isGrave = line.level === "warn" || line.level === "error";
  return (
    <div className={css.entry} data-level={line.level}>
      <time dateTime={new Date(line.at).toISOString()} title={absolute(line.at)}>
        {clock(line.at)}
      </time>
      <b title={visible(line.source)}>
        <bdi>{visible(line.source)}</bdi>
      </b>
      <div className={css.words}>
        {isGrave && <span className={css.level}>{line.level}</span>}
        <Plain text={line.text} isOutput />
      </div>
    </div>
  );
}
