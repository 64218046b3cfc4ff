'use strict';

// Queries of a Sequelize application through the result cache of whitecross. The cache is the server's own: every process of the application, and
// every other one, shares it, and a write by any of them, or by anybody, ends what was read before it. So there is nothing to invalidate here, and no
// key to think of: the query and its parameters are the key.

const { QueryTypes } = require('sequelize');

// What PostgreSQL reads of a parameter: it is text, to which the query gives its type.
function asText(value) {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return value.toISOString();
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`;
  if (Array.isArray(value)) {
    const quote = (text) => `"${text.replace(/(["\\])/g, '\\$1')}"`;
    return `{${value.map((element) => (element === null ? 'NULL' : Array.isArray(element) ? asText(element) : quote(asText(element)))).join(',')}}`;
  }
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

// The rows of a query as plain objects. In JSON dates and times are texts of ISO 8601, and what JavaScript's numbers can't hold loses digits: cast it
// to text in the query. options: bind, values of $1, $2, ...; ttl, an interval; tag, a name to invalidate it by; transaction.
async function cachedRows(sequelize, query, { bind = [], ttl = '5 minutes', tag = null, transaction } = {}) {
  const rows = await sequelize.query('SELECT c.row FROM wc_cached_json($1, $2::text[], $3::interval, $4) AS c (row)', {
    bind: [query, bind.map(asText), ttl, tag], type: QueryTypes.SELECT, transaction,
  });
  return rows.map(({ row }) => row);
}

// The rows of a query as instances of a model, whose table or view has to have the columns that the query returns, in that order.
async function cachedModels(model, query, { bind = [], ttl = '5 minutes', tag = null, transaction } = {}) {
  const table = model.sequelize.getQueryInterface().queryGenerator.quoteTable(model.getTableName());
  return model.sequelize.query(`SELECT * FROM wc_cached(NULL::${table}, $1, $2::text[], $3::interval, $4)`, {
    bind: [query, bind.map(asText), ttl, tag], type: QueryTypes.SELECT, model, mapToModel: true, transaction,
  });
}

module.exports = { asText, cachedModels, cachedRows };
