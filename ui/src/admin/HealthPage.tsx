import { SettingsPage } from "../account/parts";

export default function HealthPage() {
  return <SettingsPage title="Health">{null}</SettingsPage>;
}
