-- What the sample district is made from: the caller's psql variables, and dice that always fall the same way.
--
-- students   how many                                               (5000)
-- seed       another number is another district                     (1)
-- anchor     the district's "today", to which all dates are relative (current_date)
-- time       the time of that day: doses before it are given, those after it are pending (11:45)
-- timezone   the zone that school hours are in                      (the session's TimeZone)
--
-- Nothing comes from random() or now(): every value is computed from a hash of (seed, what, number), so the same
-- parameters give the same rows in every database and on every server.

\set QUIET on
\set ON_ERROR_STOP on

\if :{?students}
\else
  \set students 5000
\endif
\if :{?seed}
\else
  \set seed 1
\endif
\if :{?anchor}
\else
  SELECT current_date AS anchor \gset
\endif
\if :{?time}
\else
  \set time '11:45'
\endif
\if :{?timezone}
\else
  SELECT current_setting('TimeZone') AS timezone \gset
\endif

-- The parameters as values of their types; anything that isn't one stops the script here. A school has some 500 students.
SELECT (:'students')::integer AS students, (:'seed')::bigint AS seed, (:'anchor')::date AS anchor, (:'time')::time AS "time",
       greatest(4, ((:'students')::integer + 499) / 500) AS schools,
       make_date(extract(year FROM (:'anchor')::date - interval '8 months')::integer, 9, 1) AS school_year \gset

-- 60 bits of chance for one thing of a kind: six dice of ten bits each.
CREATE FUNCTION pg_temp.roll(kind text, number bigint, part bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtextextended(kind || ':' || number::text || ':' || part::text, :seed);

-- The given die (0 to 5) of a roll as a number from 0 to sides - 1.
CREATE FUNCTION pg_temp.pick(roll bigint, die integer, sides integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((((roll >> (10 * die)) & 1023) * sides) >> 10)::integer;

-- The key of one thing of a kind: a well-formed random (version 4) UUID.
CREATE FUNCTION pg_temp.id(kind text, number bigint, part bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN overlay(overlay(md5(:'seed' || ':' || kind || ':' || number::text || ':' || part::text) PLACING '4' FROM 13) PLACING '8' FROM 17)::uuid;

-- A local date and time of day in the district.
CREATE FUNCTION pg_temp.at(day date, hour time) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (day + hour) AT TIME ZONE :'timezone';

-- A time within school hours, by the quarter of an hour (0 to 29: 8:00 to 15:15).
CREATE FUNCTION pg_temp.at_school(day date, quarter integer) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (day + time '08:00' + quarter * interval '15 minutes') AT TIME ZONE :'timezone';

-- A weekday at or just before the given day.
CREATE FUNCTION pg_temp.weekday(day date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN day - (array[0, 0, 0, 0, 0, 1, 2])[extract(isodow FROM day)::integer];

-- Which school a student goes to, and who looks after the student there: none of one in fifty.
CREATE FUNCTION pg_temp.school_of(student bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (1 + mod(pg_temp.roll('school of', student, 0) & 9223372036854775807, :schools))::bigint;

CREATE FUNCTION pg_temp.nurse_on_duty(student bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_temp.id('user', pg_temp.school_of(student) * 10 + mod(student, 2), 0);

CREATE FUNCTION pg_temp.nurse_of(student bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN mod(student, 50) <> 49 THEN pg_temp.nurse_on_duty(student) END;
