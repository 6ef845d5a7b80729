-- name: insert_file
-- A new file; nothing when this user has one of the same bytes.
insert into files (id, sha256, created_by, mimetype, data, created_at)
values (:id, :sha256, :created_by, :mimetype, :data, :now)
on conflict (created_by, sha256) do nothing;

-- name: find_file
-- The file of these bytes that this user has.
select id from files where created_by = :created_by and sha256 = :sha256;

-- name: get_file
-- A file that the viewer uploaded, or that a version of an organization they look after was made from.
select f.id, f.mimetype, f.data
from files f
where f.id = :file_id
    and (:viewer_all or f.created_by = :viewer_id or exists (
        select 1 from template_versions v
        join provisioner_jobs j on j.id = v.job_id
        where v.organization_id = any(:viewer_orgs) and j.file_id = f.id
    ));

-- name: may_use_file
-- Whether the viewer can read a file.
select exists (
    select 1 from files f
    where f.id = :file_id
        and (:viewer_all or f.created_by = :viewer_id or exists (
            select 1 from template_versions v
            join provisioner_jobs j on j.id = v.job_id
            where v.organization_id = any(:viewer_orgs) and j.file_id = f.id
        ))
) as found;

-- name: use_file
-- The job's version is made from this file from now on.
update provisioner_jobs set file_id = :file_id where id = :job_id;
