-- What a health office writes all day, as a pgbench script: one transaction each. In 100: 40 doses given, 15 appointments
-- made, 20 kept or cancelled, 10 visits recorded, 6 sets of vital signs, 4 students changed, 3 vaccinations, 2 allergies.

\set what random(1, 100)
\set student random(1, :students)
\set medication random(1, :medications)
\set appointment random(1, :appointments)
\set minutes random(1, 50000)
\if :what <= 40
INSERT INTO medication_logs ("studentMedicationId", "studentId", "scheduledAt", "administeredAt", "administeredBy", "dosageGiven", status)
SELECT m.id, m.student, now(), now(), s.nurse::text, m.dosage, 'ADMINISTERED'
  FROM bench_medication AS m, bench_student AS s WHERE m.n = :medication AND s.n = :student;
\elif :what <= 55
INSERT INTO appointments ("studentId", "nurseId", "schoolId", type, "scheduledAt", duration, status, reason)
SELECT id, nurse, school, 'ROUTINE_CHECKUP', now() + :minutes * interval '1 minute', 30, 'SCHEDULED', 'Seen at the request of the parents'
  FROM bench_student WHERE n = :student;
\elif :what <= 75
UPDATE appointments SET status = CASE WHEN :minutes % 5 = 0 THEN 'CANCELLED' ELSE 'COMPLETED' END, "updatedAt" = now()
 WHERE id = (SELECT id FROM bench_appointment WHERE n = :appointment);
\elif :what <= 85
INSERT INTO health_records ("studentId", "schoolId", "recordType", "recordDate", title, description, provider, diagnosis, "diagnosisCode",
                            "isConfidential", "recordedBy", "isActive")
SELECT id, school, 'ILLNESS', current_date, 'Illness visit', 'Fever, seen in the health office.', 'School health office', 'Fever', 'R50.9',
       false, nurse, true
  FROM bench_student WHERE n = :student;
\elif :what <= 91
INSERT INTO vital_signs ("studentId", temperature, "temperatureUnit", "heartRate", systolic, diastolic)
SELECT id, 98.6, 'F', 60 + :minutes % 60, 100 + :minutes % 30, 60 + :minutes % 20 FROM bench_student WHERE n = :student;
\elif :what <= 95
UPDATE students SET "nurseId" = "nurseId", "updatedAt" = now() WHERE id = (SELECT id FROM bench_student WHERE n = :student);
\elif :what <= 98
INSERT INTO vaccinations ("studentId", "vaccineName", "vaccineType", "doseNumber", "administrationDate", "administeredBy", dosage,
                          "nextDueDate", "complianceStatus")
SELECT id, 'Influenza', 'FLU', 1, current_date, 'School clinic', '0.5 mL', current_date + 365, 'COMPLIANT'
  FROM bench_student WHERE n = :student;
\else
INSERT INTO allergies ("studentId", "schoolId", allergen, "allergyType", severity, reaction, "epiPenRequired", "epiPenLocation", "isActive")
SELECT id, school, 'Peanuts', 'FOOD', 'SEVERE', 'Hives', true, 'Nurse office, cabinet B', true FROM bench_student WHERE n = :student;
\endif
