-- From whitecross 1.2.0 to 1.3.0. What it leads to is what a fresh 1.3.0 has, to the last comment: test/t/088_update.pl
-- compares. Nothing that is kept is dropped.
\echo Use "ALTER EXTENSION whitecross UPDATE TO '1.3.0'" to load this file. \quit
