"""What must hold in the database of a server that has come to rest, whatever was done to it."""

INVARIANTS = {
    "one live task for a name of an owner": """
        select owner_id, lower(name) as name, count(*) from tasks where deleted_at is null
        group by 1, 2 having count(*) > 1
    """,
    "one live workspace for a name of an owner": """
        select owner_id, lower(name) as name, count(*) from workspaces where not deleted
        group by 1, 2 having count(*) > 1
    """,
    "one build at a time of a workspace": """
        select b.workspace_id, count(*) from workspace_builds b
        join provisioner_jobs j on j.id = b.job_id where j.completed_at is null
        group by 1 having count(*) > 1
    """,
    "builds of a workspace are numbered without a gap": """
        select workspace_id, count(*), max(build_number) from workspace_builds
        group by 1 having count(*) <> max(build_number)
    """,
    "items of a task are numbered without a gap": """
        select task_id, count(*), max(number) from task_items
        group by 1 having count(*) <> max(number)
    """,
    "an item of a generation is stored once": """
        select task_id, generation, seq, count(*) from task_items where seq is not null
        group by 1, 2, 3 having count(*) > 1
    """,
    "no job without an end": """
        select id, type, attempt, lease_expires_at from provisioner_jobs where completed_at is null
    """,
    "no workspace of a deleted task is left": """
        select t.name, w.id from tasks t join workspaces w on w.id = t.workspace_id
        where t.deleted_at is not null and not w.deleted
    """,
    "no prompt on its way for ever": """
        select task_id, state, content from task_prompts where state = 'sending'
    """,
}
"""Statements that find what must not be, by what they hold."""
