import { SettingsPage } from "../account/parts";
import { Tokens } from "../account/Tokens";

export default function TokensOfAllPage() {
  return (
    <SettingsPage
      title="Tokens"
      lead="Named tokens of all users. Who has one may do what its user may, until it ends. Make one for somebody on their page."
    >
      <Tokens user="me" label="Tokens of all users" isOfAll />
    </SettingsPage>
  );
}
