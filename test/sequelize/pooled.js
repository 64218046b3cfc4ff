'use strict';

// An application as docs/operations.md advises it behind PgBouncer in transaction pooling: Sequelize with a pool of its own and
// the options that it would give PostgreSQL itself. It connects as PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD say.
//
//   node pooled.js limits              what limits its sessions have
//   node pooled.js work STUDENTS       for each of so many students a transaction, all at once, which writes, reads and checks
//                                      that it keeps to one session; prints how many there were, and how many sessions
//   node pooled.js zones ROUNDS        two pools with different time zones: how often either saw the other's
//   node pooled.js slow                a statement over the limit, and another one; prints what becomes of them
//   node pooled.js idle                a transaction that waits too long for its next statement, and what comes after it

const { QueryTypes, Sequelize } = require('sequelize');
const { defineModels } = require('./models');

function connect(options) {
  const { PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD } = process.env;
  const sequelize = new Sequelize({
    dialect: 'postgres', host: PGHOST, port: Number(PGPORT), database: PGDATABASE, username: PGUSER, password: PGPASSWORD, logging: false,
    pool: { max: 20, min: 2, acquire: 30000, idle: 10000, evict: 1000 },
    // Far less than the role's limits: were these heeded, nothing here would work.
    dialectOptions: {
      application_name: 'white-cross', statement_timeout: 1, idle_in_transaction_session_timeout: 1, lock_timeout: 1,
      options: '-c work_mem=64kB',
    },
    ...options,
  });
  defineModels(sequelize);
  return sequelize;
}

const one = async (sequelize, sql, options) => (await sequelize.query(sql, { type: QueryTypes.SELECT, ...options }))[0];
const print = (...values) => process.stdout.write(`${values.join(' ')}\n`);
const codeOf = (error) => (error.original ?? error.parent ?? error).code ?? error.name;

async function limits(sequelize) {
  const row = await one(sequelize, `SELECT current_setting('statement_timeout') AS statement, current_setting('idle_in_transaction_session_timeout') AS idle,
    current_setting('work_mem') AS memory, current_setting('application_name') AS name`);
  print(row.statement, row.idle, row.memory, row.name);
}

async function work(sequelize, students) {
  const { Allergy, Student } = sequelize.models;
  const list = await Student.findAll({ order: ['studentNumber'], limit: Number(students) });
  const sessions = new Set();
  await Promise.all(list.map((student, i) => sequelize.transaction(async (transaction) => {
    const session = () => one(sequelize, 'SELECT pg_backend_pid() AS pid, pg_current_xact_id()::text AS id', { transaction });
    const id = `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
    const first = await session();
    await Allergy.create({ id, studentId: student.id, allergen: `Pooled ${i}`, severity: 'MILD', createdAt: new Date(), updatedAt: new Date() }, { transaction });
    await Allergy.update({ notes: 'confirmed' }, { where: { id }, transaction });
    const found = await Allergy.findByPk(id, { rejectOnEmpty: true, transaction });
    const last = await session();
    if (found.notes !== 'confirmed' || first.pid !== last.pid || first.id !== last.id) throw new Error('a transaction did not keep to its session');
    sessions.add(first.pid);
  })));
  print(list.length, sessions.size);
}

async function zones(sequelize, rounds) {
  const other = connect({ timezone: '-05:00' });
  let mistaken = 0;
  const look = async (database, hour) => {
    const row = await one(database, "SELECT to_char(timestamptz '2026-01-15 12:00:00+00', 'HH24') AS hour");
    if (row.hour !== hour) mistaken += 1;
  };
  await Promise.all(Array.from({ length: Number(rounds) }, () => [look(sequelize, '12'), look(other, '07')]).flat());
  await other.close();
  print(rounds, mistaken);
}

async function slow(sequelize) {
  const outcome = await sequelize.query('SELECT pg_sleep(100000)').then(() => 'slept', codeOf);
  print(outcome, (await one(sequelize, 'SELECT 1 AS one')).one);
}

async function idle(sequelize) {
  const transaction = await sequelize.transaction();
  const { pid } = await one(sequelize, 'SELECT pg_backend_pid() AS pid', { transaction });
  // Until the server has ended it, which another connection sees.
  while ((await one(sequelize, `SELECT count(*)::int AS there FROM pg_stat_activity WHERE pid = ${Number(pid)} AND xact_start IS NOT NULL`)).there > 0);
  const outcome = await sequelize.query('SELECT 1', { transaction }).then(() => 'lived', () => 'ended');
  await transaction.rollback().catch(() => {});
  print(outcome, (await one(sequelize, 'SELECT 1 AS one')).one);
}

async function main([command, ...operands]) {
  const sequelize = connect({});
  try {
    await { limits, work, zones, slow, idle }[command](sequelize, ...operands);
  } finally {
    await sequelize.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${codeOf(error)} ${error.message}\n`);
  process.exitCode = 1;
});
