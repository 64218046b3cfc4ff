-- Takes the generator's temporary views, tables and functions away again, so that a session can make another district.

DROP VIEW pg_temp.sample_appointments, pg_temp.sample_doses, pg_temp.sample_student_medications, pg_temp.sample_vital_signs,
     pg_temp.sample_incidents, pg_temp.sample_conditions, pg_temp.sample_vaccinations, pg_temp.sample_allergies,
     pg_temp.sample_health_records, pg_temp.sample_students, pg_temp.sample_users, pg_temp.sample_schools;
DROP TABLE pg_temp.sample_medications, pg_temp.sample_names;
DROP FUNCTION pg_temp.nurse_of(bigint), pg_temp.nurse_on_duty(bigint), pg_temp.school_of(bigint), pg_temp.weekday(date),
     pg_temp.at_school(date, integer), pg_temp.at(date, time), pg_temp.id(text, bigint, bigint), pg_temp.pick(bigint, integer, integer),
     pg_temp.roll(text, bigint, bigint);
