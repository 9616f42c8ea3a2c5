-- What the store says to the database, one statement a name. Parameters are positional, in the order of the columns.

-- name: event
copy causeway.event from stdin

-- name: readings
copy causeway.reading (at, point, value, quality) from stdin (format binary)

-- name: signal_states
copy causeway.signal_state from stdin

-- name: traffic
copy causeway.traffic from stdin

-- name: incident
insert into causeway.incident (incident, kind, camera, first_seen_at, detected_step, confidence, why)
values (%s, %s, %s, %s, %s, %s, %s) on conflict (incident) do nothing

-- name: incident_ended
update causeway.incident set ended_at = %s where incident = %s

-- name: alarm_raised
with raised (alarm, step, at, priority, asset, kind, text_vi, text_en) as (
    select %s::text, %s::bigint, %s::timestamptz, %s::smallint, %s::text, %s::text, %s::text, %s::text
), changed as (
    update causeway.alarm a set priority = r.priority, text_vi = r.text_vi, text_en = r.text_en
    from raised r where a.alarm = r.alarm and a.returned_at is null
    returning a.alarm
)
insert into causeway.alarm (alarm, raised_step, raised_at, priority, asset, kind, text_vi, text_en)
select * from raised where not exists (select 1 from changed)

-- name: alarm_returned
update causeway.alarm set returned_at = %s where alarm = %s and returned_at is null

-- name: alarm_acknowledged
update causeway.alarm set acknowledged_at = %s, acknowledged_by = %s where alarm = %s and acknowledged_at is null

-- name: command
insert into causeway.command (step, index, kind, target, sequence, issued_at, expires_at, body, state_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)

-- name: command_state
update causeway.command set state = %s, state_at = %s, why = %s, took_ms = coalesce(%s, took_ms)
where step = %s and index = %s

-- name: forecast
insert into causeway.forecast values (%s, %s, %s, %s, %s) on conflict do nothing

-- name: rejection
insert into causeway.rejection values (%s, %s, %s, %s, %s, %s)
on conflict (step, source, reason) do update set count = causeway.rejection.count + excluded.count

-- name: point
insert into causeway.point (name, asset, quantity, unit, datum) values (%s, %s, %s, %s, %s)
on conflict (name) do update set unit = excluded.unit, datum = excluded.datum

-- name: point_ids
select name, id from causeway.point

-- name: position
select step, at_ns, writer from causeway.position

-- name: advance
update causeway.position set step = %s, at_ns = %s, writer = %s, site_hash = coalesce(%s, site_hash)
where step = %s

-- name: relax_commits
set synchronous_commit = off

-- name: make_partitions
select causeway.make_partitions(%s)

-- name: roll_up
select causeway.roll_up()

-- name: mark_unrolled
select causeway.mark_unrolled(%s)

-- name: drop_older
select causeway.drop_older(%s, %s)

-- name: trend
select at, value, quality from (
    select at, value, quality, row_number() over (order by at) as n, count(*) over () as total
    from causeway.reading r join causeway.point p on p.id = r.point
    where p.name = %(point)s and at > %(since)s and at <= %(until)s
) rows
where total <= %(rows_max)s or n %% (1 + (total - 1) / %(rows_max)s) = 0
order by at

-- name: counts
select
    (select count(*) from causeway.reading),
    (select count(*) from (select 1 from causeway.reading group by point, at having count(*) > 1) twice),
    (select count(*) from causeway.incident),
    (select count(*) from causeway.alarm),
    (select count(*) from causeway.command)

-- name: prepare_migrations
create schema if not exists causeway;
create table if not exists causeway.migration (name text primary key, applied_at timestamptz not null default now())

-- name: migrations
select name from causeway.migration

-- name: migrated
insert into causeway.migration (name) values (%s)

-- name: lock_migrations
select pg_advisory_lock(hashtext('causeway.migration'))

-- name: timescale_usable
select 1 from pg_available_extensions
where name = 'timescaledb'
    and string_to_array(substring(coalesce(installed_version, default_version) from '^\d+\.\d+'), '.')::integer[] >= array[2, 20]
    and current_setting('timescaledb.disable_load', true) is not null -- the server has preloaded it
