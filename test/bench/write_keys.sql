-- Keys for writes.sql to choose from by number, so that choosing costs next to nothing and the same with and without
-- our indexes.

CREATE TABLE bench_student AS
SELECT row_number() OVER (ORDER BY id)::integer AS n, id, "schoolId" AS school, "nurseId" AS nurse FROM students WHERE "nurseId" IS NOT NULL;
ALTER TABLE bench_student ADD PRIMARY KEY (n);
CREATE TABLE bench_medication AS
SELECT row_number() OVER (ORDER BY id)::integer AS n, id, "studentId" AS student, dosage FROM student_medications;
ALTER TABLE bench_medication ADD PRIMARY KEY (n);
CREATE TABLE bench_appointment AS SELECT row_number() OVER (ORDER BY id)::integer AS n, id FROM appointments;
ALTER TABLE bench_appointment ADD PRIMARY KEY (n);
