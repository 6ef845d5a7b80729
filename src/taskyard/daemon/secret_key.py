"""The key that secrets are sealed by: made at the first start, and the same one at all that come after."""

from pathlib import Path

from taskyard.config import Settings
from taskyard.control.services import Services
from taskyard.control.vault import KEY_FILE, Vault
from taskyard.daemon.datadir import DataDir
from taskyard.db.secrets import claim_secret_key, get_secret_key_as_system
from taskyard.errors import SecretKeyWrong, StartupError

WAY_OUT = (
    "Servers of one database share one key file. Restore it from a backup, or name the right one with "
    "--secrets-key-file. If the key is lost for "
    "good, so are the secrets: `taskyard server forget-secrets` removes them, and the next start makes a new key."
)


def vault_of(settings: Settings, data: DataDir) -> Vault:
    """The vault of a server; its key is read when it is first needed."""
    named = settings.secrets_key_file
    return Vault(data.path / KEY_FILE if named is None else Path(named))


async def claim_key(services: Services) -> None:
    """Nothing when the key in the file is this installation's; at the first start it becomes that.

    Raises StartupError, which names the file, where the key is missing, unreadable or another one.
    """
    vault = services.vault
    assert vault.path is not None
    async with services.db.transaction() as conn:
        known = await get_secret_key_as_system(conn)
        if known is not None and not vault.path.exists():
            raise StartupError(
                f"the key that secrets are sealed by is missing: {vault.path}. {WAY_OUT}"
            )
        try:
            vault.make()
            claimed = await claim_secret_key(conn, vault.key_id, services.now())
        except SecretKeyWrong as error:
            raise StartupError(f"{error}. {WAY_OUT}") from error
        except OSError as error:
            raise StartupError(
                f"the key for secrets cannot be written: {error.filename}: {error.strerror}. "
                "Make its folder writable, or name a file with --secrets-key-file."
            ) from error
    if claimed != vault.key_id:
        raise StartupError(
            f"{vault.path} holds key {vault.key_id}, but the secrets in the database are sealed by key {claimed}. "
            f"{WAY_OUT}"
        )
