-- Indexes that incremental refresh needs: without them the cost of a refresh would grow with the tables, not with what
-- changed. table_name is a base table (canonical columns) or a view (its own).
--
-- A student's medications that are not active count where only their updatedAt matters: they have an index beside that of the
-- active ones, so that the application's queries keep to the latter. From a medication to the students who take it there is no
-- other way. The view is asked at every refresh which of its doses have come near.

INSERT INTO @extschema@.wc_index_definition
  (kind, name, table_name, position, key_columns, include_columns, predicate, is_unique, nulls_not_distinct, comment) VALUES
('refresh index', 'idx_inactive_student_medications', 'student_medications', 1,
 ARRAY['studentId'], '{}', ARRAY['{isActive} IS NOT TRUE'], false, false, 'Medications of a student that are not active.'),
('refresh index', 'idx_student_medications_by_medication', 'student_medications', 2,
 ARRAY['medicationId'], '{}', '{}', false, false, 'Students who take a medication.'),
('refresh index', 'mv_medication_schedule_next', 'mv_medication_schedule', 3,
 ARRAY['nextScheduledTime'], '{}', '{}', false, false, 'Doses that come next, by time.');
