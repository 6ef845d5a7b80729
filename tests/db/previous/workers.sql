-- name: beat_worker
-- A worker lives, with so many jobs in hand; what was not heard of for long is of one that was killed.
with gone as (
    delete from workers where seen_at < :forgotten and id <> :id
)
insert into workers (id, name, running, capacity, seen_at)
values (:id, :name, :running, :capacity, :now)
on conflict (id) do update
set name = excluded.name, running = excluded.running, capacity = excluded.capacity, seen_at = excluded.seen_at;

-- name: remove_worker
-- A worker ends.
delete from workers where id = :id;
