import { inputClass, labelClass } from "../design";
import { useGrowing } from "../design/useGrowing";
import css from "./new.module.css";

/** What the task is to do, in a field that grows with it. */
export function Prompt({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const area = useGrowing(value);
  return (
    <div className={css.prompt}>
      <label className={labelClass} htmlFor="input">
        Prompt
      </label>
      <textarea
        ref={area}
        id="input"
        className={inputClass}
        rows={5}
        autoFocus
        placeholder="What is to be done? Say where to look, and how one can tell that it is done."
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}
