-- The canonical columns: every column of a base table that a constraint, an index or a view of ours names.
--
-- type        what the column is NULL of where a site has no such column
-- coerce      whether views convert the column to that type: an enum or varchar status arrives as text, a timestamptz that
--             stands for a day as the date in the site's time zone.  The others keep the site's type.
-- candidates  expressions over the site's own columns, tried in order: the first whose columns all exist stands for the
--             canonical column.  A site changes it with wc_map_column().
-- A candidate may name a column of a lookup (below), a row of another table that the same row points to: in views the
-- lookup is joined, for an index the column counts as absent.

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('students', 'id', 1, 'uuid', false, ARRAY['id']),
('students', 'studentNumber', 2, 'text', false, ARRAY['"studentNumber"']),
('students', 'firstName', 3, 'text', false, ARRAY['"firstName"']),
('students', 'lastName', 4, 'text', false, ARRAY['"lastName"']),
('students', 'dateOfBirth', 5, 'date', true, ARRAY['"dateOfBirth"']),
('students', 'grade', 6, 'text', false, ARRAY['grade']),
('students', 'schoolId', 7, 'uuid', false, ARRAY['"schoolId"']),
('students', 'nurseId', 8, 'uuid', false, ARRAY['"nurseId"']),
('students', 'isActive', 9, 'boolean', true, ARRAY['"isActive"']),
('students', 'enrollmentDate', 10, 'timestamptz', true, ARRAY['"enrollmentDate"']),
('students', 'createdAt', 11, 'timestamptz', true, ARRAY['"createdAt"']),
('students', 'updatedAt', 12, 'timestamptz', true, ARRAY['"updatedAt"']),
('students', 'deletedAt', 13, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('medications', 'id', 1, 'uuid', false, ARRAY['id']),
('medications', 'name', 2, 'text', false, ARRAY['name']),
('medications', 'genericName', 3, 'text', false, ARRAY['"genericName"']),
('medications', 'dosageForm', 4, 'text', false, ARRAY['"dosageForm"']),
('medications', 'isControlled', 5, 'boolean', true, ARRAY['"isControlled"']),
('medications', 'deaSchedule', 6, 'text', true, ARRAY['"deaSchedule"']),
('medications', 'requiresWitness', 7, 'boolean', true, ARRAY['"requiresWitness"']),
('medications', 'isActive', 8, 'boolean', true, ARRAY['"isActive"']),
('medications', 'updatedAt', 9, 'timestamptz', true, ARRAY['"updatedAt"']),
('medications', 'deletedAt', 10, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('student_medications', 'id', 1, 'uuid', false, ARRAY['id']),
('student_medications', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('student_medications', 'medicationId', 3, 'uuid', false, ARRAY['"medicationId"']),
('student_medications', 'schoolId', 4, 'uuid', false, ARRAY['"schoolId"', 'student."schoolId"']),
('student_medications', 'dosage', 5, 'text', false, ARRAY['dosage']),
('student_medications', 'route', 6, 'text', false, ARRAY['route']),
('student_medications', 'frequency', 7, 'text', false, ARRAY['frequency']),
('student_medications', 'scheduledTimes', 8, 'text[]', true, ARRAY['"scheduledTimes"']),
('student_medications', 'instructions', 9, 'text', false, ARRAY['instructions']),
('student_medications', 'startDate', 10, 'date', true, ARRAY['"startDate"']),
('student_medications', 'endDate', 11, 'date', true, ARRAY['"endDate"']),
('student_medications', 'requiresWitness', 12, 'boolean', true, ARRAY['"requiresWitness"']),
('student_medications', 'isActive', 13, 'boolean', true, ARRAY['"isActive"']),
('student_medications', 'updatedAt', 14, 'timestamptz', true, ARRAY['"updatedAt"']),
('student_medications', 'deletedAt', 15, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('medication_logs', 'id', 1, 'uuid', false, ARRAY['id']),
('medication_logs', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('medication_logs', 'medicationId', 3, 'uuid', false, ARRAY['"medicationId"']),
('medication_logs', 'studentMedicationId', 4, 'uuid', false, ARRAY['"studentMedicationId"', 'student_medication.id']),
('medication_logs', 'scheduledAt', 5, 'timestamptz', true, ARRAY['"scheduledAt"']),
('medication_logs', 'administeredAt', 6, 'timestamptz', true, ARRAY['"administeredAt"']),
('medication_logs', 'administeredBy', 7, 'text', false, ARRAY['"administeredBy"']),
('medication_logs', 'status', 8, 'text', true, ARRAY['status']),
('medication_logs', 'dosageGiven', 9, 'text', false, ARRAY['"dosageGiven"', 'dosage']),
('medication_logs', 'witnessed', 10, 'boolean', true, ARRAY['witnessed']),
('medication_logs', 'witnessedBy', 11, 'uuid', false, ARRAY['"witnessedBy"']),
('medication_logs', 'notes', 12, 'text', false, ARRAY['notes']),
('medication_logs', 'deletedAt', 13, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('vital_signs', 'id', 1, 'uuid', false, ARRAY['id']),
('vital_signs', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('vital_signs', 'temperature', 3, 'double precision', false, ARRAY['temperature']),
('vital_signs', 'temperatureUnit', 4, 'text', true, ARRAY['"temperatureUnit"']),
('vital_signs', 'heartRate', 5, 'integer', false, ARRAY['"heartRate"']),
('vital_signs', 'systolic', 6, 'integer', false, ARRAY['systolic', '"bloodPressureSystolic"']),
('vital_signs', 'diastolic', 7, 'integer', false, ARRAY['diastolic', '"bloodPressureDiastolic"']),
('vital_signs', 'deletedAt', 8, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('appointments', 'id', 1, 'uuid', false, ARRAY['id']),
('appointments', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('appointments', 'nurseId', 3, 'uuid', false, ARRAY['"nurseId"']),
('appointments', 'schoolId', 4, 'uuid', false, ARRAY['"schoolId"', 'student."schoolId"']),
('appointments', 'type', 5, 'text', true, ARRAY['type']),
('appointments', 'status', 6, 'text', true, ARRAY['status']),
('appointments', 'scheduledAt', 7, 'timestamptz', true, ARRAY['"scheduledAt"']),
('appointments', 'duration', 8, 'integer', false, ARRAY['duration']),
('appointments', 'reason', 9, 'text', false, ARRAY['reason']),
('appointments', 'location', 10, 'text', false, ARRAY['location']),
('appointments', 'recurringGroupId', 11, 'uuid', false, ARRAY['"recurringGroupId"']),
('appointments', 'deletedAt', 12, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('allergies', 'id', 1, 'uuid', false, ARRAY['id']),
('allergies', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('allergies', 'schoolId', 3, 'uuid', false, ARRAY['"schoolId"', 'student."schoolId"']),
('allergies', 'allergen', 4, 'text', false, ARRAY['allergen']),
('allergies', 'allergyType', 5, 'text', true, ARRAY['"allergyType"']),
('allergies', 'severity', 6, 'text', true, ARRAY['severity']),
('allergies', 'reaction', 7, 'text', false, ARRAY['reaction', 'reactions']),
('allergies', 'epiPenRequired', 8, 'boolean', true, ARRAY['"epiPenRequired"']),
('allergies', 'epiPenLocation', 9, 'text', false, ARRAY['"epiPenLocation"']),
('allergies', 'isActive', 10, 'boolean', true, ARRAY['"isActive"', 'active']),
('allergies', 'updatedAt', 11, 'timestamptz', true, ARRAY['"updatedAt"']),
('allergies', 'deletedAt', 12, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('health_records', 'id', 1, 'uuid', false, ARRAY['id']),
('health_records', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('health_records', 'schoolId', 3, 'uuid', false, ARRAY['"schoolId"', 'student."schoolId"']),
('health_records', 'recordType', 4, 'text', true, ARRAY['"recordType"']),
('health_records', 'recordDate', 5, 'date', true, ARRAY['"recordDate"']),
('health_records', 'diagnosis', 6, 'text', false, ARRAY['diagnosis']),
('health_records', 'diagnosisCode', 7, 'text', false, ARRAY['"diagnosisCode"']),
('health_records', 'provider', 8, 'text', false, ARRAY['provider']),
('health_records', 'isConfidential', 9, 'boolean', true, ARRAY['"isConfidential"']),
('health_records', 'recordedBy', 10, 'uuid', false, ARRAY['"recordedBy"', '"createdBy"']),
('health_records', 'isActive', 11, 'boolean', true, ARRAY['"isActive"']),
('health_records', 'updatedAt', 12, 'timestamptz', true, ARRAY['"updatedAt"']),
('health_records', 'deletedAt', 13, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('vaccinations', 'id', 1, 'uuid', false, ARRAY['id']),
('vaccinations', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('vaccinations', 'vaccineType', 3, 'text', true, ARRAY['"vaccineType"']),
('vaccinations', 'administrationDate', 4, 'date', true, ARRAY['"administrationDate"']),
('vaccinations', 'administeredBy', 5, 'text', false, ARRAY['"administeredBy"']),
('vaccinations', 'dosage', 6, 'text', false, ARRAY['dosage', '"dosageAmount"']),
('vaccinations', 'nextDueDate', 7, 'date', true, ARRAY['"nextDueDate"']),
('vaccinations', 'complianceStatus', 8, 'text', true, ARRAY['"complianceStatus"']),
('vaccinations', 'updatedAt', 9, 'timestamptz', true, ARRAY['"updatedAt"']),
('vaccinations', 'deletedAt', 10, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('chronic_conditions', 'id', 1, 'uuid', false, ARRAY['id']),
('chronic_conditions', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('chronic_conditions', 'condition', 3, 'text', false, ARRAY['condition']),
('chronic_conditions', 'severity', 4, 'text', true, ARRAY['severity']),
('chronic_conditions', 'managementPlan', 5, 'text', false, ARRAY['"managementPlan"', '"carePlan"']),
('chronic_conditions', 'emergencyProcedure', 6, 'text', false, ARRAY['"emergencyProcedure"', '"emergencyProtocol"']),
('chronic_conditions', 'isActive', 7, 'boolean', true, ARRAY['"isActive"']),
('chronic_conditions', 'updatedAt', 8, 'timestamptz', true, ARRAY['"updatedAt"']),
('chronic_conditions', 'deletedAt', 9, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('incident_reports', 'id', 1, 'uuid', false, ARRAY['id']),
('incident_reports', 'studentId', 2, 'uuid', false, ARRAY['"studentId"']),
('incident_reports', 'reporterId', 3, 'uuid', false, ARRAY['"reporterId"', '"reportedById"']),
('incident_reports', 'schoolId', 4, 'uuid', false, ARRAY['"schoolId"']),
('incident_reports', 'type', 5, 'text', true, ARRAY['type']),
('incident_reports', 'status', 6, 'text', true, ARRAY['status']),
('incident_reports', 'severity', 7, 'text', true, ARRAY['severity']),
('incident_reports', 'location', 8, 'text', false, ARRAY['location']),
('incident_reports', 'occurredAt', 9, 'timestamptz', true, ARRAY['"occurredAt"']),
('incident_reports', 'deletedAt', 10, 'timestamptz', true, ARRAY['"deletedAt"']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('schools', 'id', 1, 'uuid', false, ARRAY['id']),
('schools', 'name', 2, 'text', false, ARRAY['name']);

INSERT INTO @extschema@.wc_default_column (table_name, canonical, position, type, coerce, candidates) VALUES
('users', 'id', 1, 'uuid', false, ARRAY['id']),
('users', 'firstName', 2, 'text', false, ARRAY['"firstName"']),
('users', 'lastName', 3, 'text', false, ARRAY['"lastName"']);

-- A lookup joins at most one row of the target, except student_medication, of which a student may have several for one
-- medication: then a log row without a studentMedicationId of its own counts for each of them.
-- join_columns: a canonical column of the table = a canonical column of the target.
INSERT INTO @extschema@.wc_lookup (table_name, lookup, target_table, join_columns) VALUES
('allergies', 'student', 'students', ARRAY['studentId=id']),
('appointments', 'student', 'students', ARRAY['studentId=id']),
('health_records', 'student', 'students', ARRAY['studentId=id']),
('student_medications', 'student', 'students', ARRAY['studentId=id']),
('medication_logs', 'student_medication', 'student_medications', ARRAY['studentId=studentId', 'medicationId=medicationId']);
