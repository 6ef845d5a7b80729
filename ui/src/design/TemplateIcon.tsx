import { classes } from "./index";
import css from "./icon.module.css";
import { visible } from "./text";

/** Pictures that the policy of the page lets show: its own, and those that stand in the address itself. */
const SHOWN = /^(\/(?!\/)|data:image\/)/;

/** The picture of a template, or the first sign of its name where it has none that can be shown. */
export function TemplateIcon({
  icon,
  name,
  isSmall = false,
}: {
  icon: string;
  name: string;
  isSmall?: boolean;
}) {
  if (SHOWN.test(icon)) {
    return <img className={classes(css.icon, isSmall && css.small)} src={icon} alt="" />;
  }
  const [sign = "?"] = visible(name.trim());
  return (
    <span className={classes(css.icon, css.sign, isSmall && css.small)} aria-hidden="true">
      {sign.toUpperCase()}
    </span>
  );
}
