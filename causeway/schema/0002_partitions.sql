-- Storage of the time-ordered tables on a PostgreSQL without TimescaleDB: one partition a day, made ahead and dropped
-- when it is old, with a default partition for a day that nobody foresaw; and rollups that the store keeps up to date.

set local search_path to causeway;

create table reading (
    at timestamptz not null,
    point integer not null,
    value double precision not null,
    quality smallint not null
) partition by range (at);
create index reading_point_at on reading (point, at);
create table reading_other partition of reading default;

create table signal_state (
    at timestamptz not null,
    junction text not null,
    stage text not null,
    interval text not null,
    aspects text not null,
    mode text not null,
    fault text not null
) partition by range (at);
create index signal_state_junction_at on signal_state (junction, at);
create table signal_state_other partition of signal_state default;

create table traffic (
    at timestamptz not null,
    camera text not null,
    occupancy_ratio double precision not null,
    moving_ratio double precision not null,
    speed_px_s double precision not null
) partition by range (at);
create index traffic_camera_at on traffic (camera, at);
create table traffic_other partition of traffic default;

create table reading_minute (
    bucket timestamptz not null,
    point integer not null,
    count bigint not null,
    min double precision not null,
    max double precision not null,
    mean double precision not null,
    primary key (point, bucket)
);
create index reading_minute_bucket on reading_minute using brin (bucket);
create table reading_hour (like reading_minute including all);

-- The minutes whose readings have changed since they were last rolled up.
create table unrolled (minute timestamptz primary key);

-- The partitions of a day; says how many were made. A day whose rows already stand in a default partition stays there.
create function make_partitions(day date) returns integer language plpgsql set lock_timeout = '5s' as $$
declare
    parent text;
    child text;
    made integer := 0;
begin
    foreach parent in array array['reading', 'signal_state', 'traffic'] loop
        child := parent || to_char(day, '_YYYYMMDD');
        if to_regclass('causeway.' || child) is null then
            begin
                execute format(
                    'create table causeway.%I partition of causeway.%I for values from (%L) to (%L)',
                    child, parent, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'
                );
                made := made + 1;
            exception when check_violation or duplicate_table then null;
            end;
        end if;
    end loop;
    return made;
end
$$;

create function mark_unrolled(minutes timestamptz[]) returns void language sql as $$
    insert into causeway.unrolled select unnest(minutes) on conflict do nothing;
$$;

-- Rolls the oldest marked minutes up (again), at most 500, and the hours that they are in; says how many there were.
-- Point by point, since the index of the readings is; a day's partition is never read whole. Readings of bad or stale
-- quality are not counted.
create function roll_up() returns integer language plpgsql set lock_timeout = '5s' as $$
declare
    minutes timestamptz[];
begin
    with taken as (
        delete from causeway.unrolled
        where minute in (select minute from causeway.unrolled order by minute limit 500)
        returning minute
    )
    select array_agg(minute) into minutes from taken;

    insert into causeway.reading_minute
    select m.minute, p.id, r.count, r.min, r.max, r.mean
    from unnest(minutes) m (minute)
    cross join causeway.point p
    cross join lateral (
        select count(*), min(value), max(value), avg(value) as mean
        from causeway.reading
        where point = p.id and at >= m.minute and at < m.minute + interval '1 minute' and quality < 2
    ) r
    where r.count > 0
    on conflict (point, bucket) do update
    set count = excluded.count, min = excluded.min, max = excluded.max, mean = excluded.mean;

    insert into causeway.reading_hour
    select h.hour, p.id, r.count, r.min, r.max, r.mean
    from (select distinct date_bin('1 hour', minute, 'epoch') from unnest(minutes) m (minute)) h (hour)
    cross join causeway.point p
    cross join lateral (
        select sum(count) as count, min(min), max(max), sum(mean * count) / sum(count) as mean
        from causeway.reading_minute
        where point = p.id and bucket >= h.hour and bucket < h.hour + interval '1 hour'
    ) r
    where r.count > 0
    on conflict (point, bucket) do update
    set count = excluded.count, min = excluded.min, max = excluded.max, mean = excluded.mean;
    return coalesce(cardinality(minutes), 0);
end
$$;

-- Drops what is older: raw days as whole partitions, rollups by row. Says how many partitions went.
create function drop_older(raw_before timestamptz, minute_before timestamptz) returns integer language plpgsql set lock_timeout = '5s' as $$
declare
    child text;
    dropped integer := 0;
begin
    for child in
        select c.relname from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        join pg_class p on p.oid = i.inhparent
        join pg_namespace n on n.oid = p.relnamespace
        where n.nspname = 'causeway' and c.relname ~ '_\d{8}$'
          and to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= raw_before
    loop
        execute format('drop table causeway.%I', child);
        dropped := dropped + 1;
    end loop;
    delete from causeway.reading_other where at < raw_before;
    delete from causeway.signal_state_other where at < raw_before;
    delete from causeway.traffic_other where at < raw_before;
    delete from causeway.reading_minute where bucket < minute_before;
    return dropped;
end
$$;
