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
create table reading_hour (like reading_minute including all);

-- The partitions of a day; says how many were made. A day whose rows already stand in a default partition stays there.
create function make_partitions(day date) returns integer language plpgsql as $$
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
            exception when check_violation then null;
            end;
        end if;
    end loop;
    return made;
end
$$;

-- Readings of the minutes and hours that begin at or after `since` are rolled up (again).
create function roll_up(since timestamptz) returns void language sql as $$
    insert into causeway.reading_minute
    select date_bin('1 minute', at, 'epoch'), point, count(*), min(value), max(value), avg(value)
    from causeway.reading
    where at >= date_bin('1 minute', since, 'epoch') and quality < 2
    group by 1, 2
    on conflict (point, bucket) do update
    set count = excluded.count, min = excluded.min, max = excluded.max, mean = excluded.mean;

    insert into causeway.reading_hour
    select date_bin('1 hour', bucket, 'epoch'), point, sum(count), min(min), max(max), sum(mean * count) / sum(count)
    from causeway.reading_minute
    where bucket >= date_bin('1 hour', since, 'epoch')
    group by 1, 2
    on conflict (point, bucket) do update
    set count = excluded.count, min = excluded.min, max = excluded.max, mean = excluded.mean;
$$;

-- Drops what is older: raw days as whole partitions, rollups by row. Says how many partitions went.
create function drop_older(raw_before timestamptz, minute_before timestamptz) returns integer language plpgsql as $$
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
