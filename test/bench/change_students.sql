-- What a morning brings for :n students, as one transaction: each gets another name, an allergy, a visit and a vaccination on
-- record, a dose where the student takes a medication, and has the latest appointment kept. So each of the five views has
-- rows that change. :run says which students, and makes the values differ from those of the run before.

BEGIN;
CREATE TEMP TABLE chosen ON COMMIT DROP AS
SELECT id, school, nurse FROM bench_student ORDER BY md5(n || ' ' || :'run') LIMIT :n;
ANALYZE chosen;
UPDATE students AS s SET "firstName" = 'Student ' || :'run', "updatedAt" = now() FROM chosen AS c WHERE s.id = c.id;
INSERT INTO allergies ("studentId", "schoolId", allergen, "allergyType", severity, reaction, "epiPenRequired", "epiPenLocation", "isActive")
SELECT id, school, 'Peanuts', 'FOOD', 'SEVERE', 'Hives', true, 'Nurse office, cabinet ' || :'run', true FROM chosen;
INSERT INTO health_records ("studentId", "schoolId", "recordType", "recordDate", title, description, provider, "isConfidential", "recordedBy", "isActive")
SELECT id, school, 'VISION_SCREENING', current_date, 'Screening', 'Seen in the health office.', 'School health office', false, nurse, true FROM chosen;
INSERT INTO vaccinations ("studentId", "vaccineName", "vaccineType", "doseNumber", "administrationDate", "administeredBy", dosage, "nextDueDate", "complianceStatus")
SELECT id, 'Influenza', 'FLU', 1, current_date, 'School clinic', '0.5 mL', current_date + 365, 'COMPLIANT' FROM chosen;
INSERT INTO medication_logs ("studentMedicationId", "studentId", "scheduledAt", "administeredAt", "administeredBy", "dosageGiven", status)
SELECT m.id, c.id, now(), now(), c.nurse::text, m.dosage, 'ADMINISTERED' FROM chosen AS c JOIN student_medications AS m ON m."studentId" = c.id;
UPDATE appointments AS a SET status = CASE a.status WHEN 'COMPLETED' THEN 'NO_SHOW' ELSE 'COMPLETED' END, "updatedAt" = now()
  FROM chosen AS c
 CROSS JOIN LATERAL (SELECT b.id FROM appointments AS b WHERE b."studentId" = c.id ORDER BY b."scheduledAt" DESC LIMIT 1) AS latest
 WHERE a.id = latest.id;
COMMIT;
