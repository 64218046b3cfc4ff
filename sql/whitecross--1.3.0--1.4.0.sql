-- From whitecross 1.3.0 to 1.4.0. What it leads to is what a fresh 1.4.0 has, to the last comment: test/t/088_update.pl
-- compares. Nothing that is kept is dropped: data, grants, settings, mapping and schedules stay. No managed object changes.
\echo Use "ALTER EXTENSION whitecross UPDATE TO '1.4.0'" to load this file. \quit
