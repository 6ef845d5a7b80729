// The item of the account's menu that turns notices of the browser on and off.
import { useState } from "react";

import { MenuItem } from "../design/Menu";
import { tell } from "../design/toast";
import { noticeStanding, turnNotices } from "../notices/browser";

const SAYS = {
  on: "Turn notices off",
  off: "Notify me when a task needs me",
  refused: "Notices are blocked",
  impossible: "Notices need https",
} as const;

const WHY = {
  on: undefined,
  off: "When a task of yours waits for you, ends its turn or fails",
  refused: "This browser refuses notices of this page: allow them in its settings of the site",
  impossible: "Browsers show notices only of pages that come by https or from this machine",
} as const;

export function NoticesItem() {
  const [standing, setStanding] = useState(noticeStanding);
  const turn = async () => {
    const now = await turnNotices(standing !== "on");
    setStanding(now);
    if (now === "on") tell("You will be notified when a task of yours waits, ends or fails.");
    else if (now === "refused") tell("The browser does not allow notices.", WHY.refused);
    else tell("Notices are off.");
  };
  return (
    <MenuItem
      isDisabled={standing === "refused" || standing === "impossible"}
      title={WHY[standing]}
      onSelect={() => void turn()}
    >
      {SAYS[standing]}
    </MenuItem>
  );
}
