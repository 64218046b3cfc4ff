-- How long after its commit a change stands in the views, as who reads them finds it: bench_probe() changes a student's name,
-- and asks the three views that show it, again and again, until all of them do.

CREATE TABLE bench_latency (slot integer NOT NULL, ms double precision NOT NULL);
CREATE TABLE bench_probed AS
SELECT row_number() OVER (ORDER BY md5("studentId"::text))::integer AS slot, "studentId" AS id FROM mv_allergy_summary LIMIT 16;

CREATE PROCEDURE bench_probe(slot integer, seconds integer) LANGUAGE plpgsql AS $$
DECLARE
    student uuid := (SELECT p.id FROM bench_probed AS p WHERE p.slot = bench_probe.slot);
    ends    timestamptz := clock_timestamp() + seconds * interval '1 second';
    began   timestamptz;
    name    text;
    round   integer := 0;
BEGIN
    WHILE clock_timestamp() < ends LOOP
        round := round + 1;
        name := concat_ws(' ', 'Probe', slot, round);
        UPDATE students SET "firstName" = name WHERE id = student;
        COMMIT;
        began := clock_timestamp();
        LOOP
            EXIT WHEN (SELECT v."firstName" = name FROM mv_student_health_summary AS v WHERE v."studentId" = student)
                  AND (SELECT v."firstName" = name FROM mv_compliance_status AS v WHERE v."studentId" = student)
                  AND (SELECT v."firstName" = name FROM mv_allergy_summary AS v WHERE v."studentId" = student);
            IF clock_timestamp() > began + interval '60 seconds' THEN
                RAISE EXCEPTION 'a change is not in the views after a minute';
            END IF;
            PERFORM pg_sleep(0.001);
        END LOOP;
        INSERT INTO bench_latency VALUES (slot, 1000 * extract(epoch FROM clock_timestamp() - began));
        COMMIT;
        -- Not in step with the rounds of live mode.
        PERFORM pg_sleep(0.3 * random());
    END LOOP;
END
$$;
