"""`taskyard templates archive`, `unarchive` and `pull`."""

import sys
from pathlib import Path

import click

from taskyard.cli.archive import unpack
from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_template, find_version
from taskyard.cli.output import confirm, note, plain, yes_option
from taskyard.cli.template_show import organization_option
from taskyard.sdk import Client
from taskyard.wire.templates import ArchiveVersionsRequest


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.argument("versions", metavar="[VERSION]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every version that nothing uses.")
@yes_option
@organization_option
@signed_in
def archive(
    client: Client,
    *,
    name: str,
    versions: tuple[str, ...],
    everything: bool,
    yes: bool,
    organization: str | None,
) -> Status:
    """Archive versions of TEMPLATE: those named, or those that failed to import.

    A version that is archived makes no workspaces; the active one, and one that a workspace runs on, stay.
    """
    if versions and everything:
        raise click.UsageError("Name versions, or say --all, not both.")
    template = find_template(client, organization, name)
    if versions:
        for found in [find_version(client, template, version) for version in versions]:
            client.archive_template_version(found.id)
            print(f"Version {plain(found.name)} is archived.")
        return None
    what = "every unused version" if everything else "the unused versions whose import failed"
    confirm(f"Archive {what} of {name}?", yes=yes)
    done = client.archive_template_versions(template.id, ArchiveVersionsRequest(all=everything))
    match len(done.archived_ids):
        case 0:
            print(f"There was nothing to archive of {name}.")
        case 1:
            print(f"Archived 1 version of {name}.")
        case count:
            print(f"Archived {count} versions of {name}.")
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.argument("versions", metavar="VERSION...", nargs=-1, required=True)
@organization_option
@signed_in
def unarchive(
    client: Client, *, name: str, versions: tuple[str, ...], organization: str | None
) -> Status:
    """Take versions of TEMPLATE out of the archive."""
    template = find_template(client, organization, name)
    for found in [find_version(client, template, version) for version in versions]:
        client.unarchive_template_version(found.id)
        print(f"Version {plain(found.name)} can be used again.")
    return None


@click.command()
@click.argument("name", metavar="TEMPLATE")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--version", help="Name of a version. Default: the active one.")
@click.option("--tar", "as_tar", is_flag=True, help="Write the archive to stdout.")
@click.option("--zip", "as_zip", is_flag=True, help="Write it to stdout as a zip.")
@organization_option
@signed_in
def pull(
    client: Client,
    *,
    name: str,
    folder: Path | None,
    version: str | None,
    as_tar: bool,
    as_zip: bool,
    organization: str | None,
) -> Status:
    """Fetch the files of TEMPLATE into a new FOLDER, by default one of its name."""
    if as_tar + as_zip + (folder is not None) > 1:
        raise click.UsageError("Give a folder, --tar or --zip, only one of them.")
    target = folder or Path(name)
    to_stdout = as_tar or as_zip
    if not to_stdout and target.exists() and (not target.is_dir() or any(target.iterdir())):
        hint = "Name a folder that does not exist yet."
        raise Failure(f"{target} is there already; nothing was written.", hint=hint)
    template = find_template(client, organization, name)
    found = (
        find_version(client, template, version)
        if version
        else client.get_template_version(template.active_version_id)
    )
    data = client.get_file(found.job.file_id, as_zip=as_zip)
    if to_stdout:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return None
    count = unpack(data, target)
    print(f"Wrote {count} files of {name} ({plain(found.name)}) into {target}.")
    note(f"\nTo push it again: taskyard templates push {target} --name {name}")
    return None
