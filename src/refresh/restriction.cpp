// Whether a definition of the site's gives the same rows restricted to some keys as it does as a whole.
//
// What ours do is known; of a site's it can't be told from the text: a window function, a LIMIT or a sub-select that
// wants a mark may look beyond the keys. So it is tried, whenever statements for a refresh by keys are made: the view
// is new, a mapping changed, the extension was updated. A sample is no proof; wc_verify() is what tells at any time.
// With less than two keys every restriction is the whole; then the next refresh is of the whole view too, and tries
// again.
#include "refresh/restriction.hpp"

#include "pg/membership.hpp"
#include "pg/transaction.hpp"
#include "refresh/facts.hpp"

namespace wc::refresh {

namespace {

constexpr const char *sample_size = "1000"; // keys of each sample

// "a, b" of a prefix and each column or number.
std::string list(const schema::Incremental &incremental, const std::function<std::string(size_t)> &item,
                 const char *separator = ", ") {
    std::string text;
    for (size_t i = 0; i < incremental.key_columns.size(); ++i)
        text += (i > 0 ? separator : "") + item(i);
    return text;
}

std::string k(size_t i) {
    return "k" + std::to_string(i + 1);
}

std::string statement(pg::Spi &spi, const schema::View &view, const schema::Incremental &incremental) {
    const auto &columns = incremental.key_columns;
    const auto &types = incremental.key_types;
    const std::string ext = pg::quote_name(pg::extension_schema()) + ".";
    const auto query = [&](const pg::Text &keys) {
        return spi.read("SELECT " + ext + "wc_view_query($1, $2)", {view.name, keys}).rows[0][0].value_or("");
    };
    const std::string names = list(incremental, k);
    // In an order that has nothing to do with any of the view's.
    const std::string shuffled =
        "pg_catalog.md5(pg_catalog.concat_ws(' ', " + list(incremental, [](size_t i) { return "s." + k(i); }) + "))";
    std::string sql = "WITH wc_whole AS MATERIALIZED (" + query({}) + "), wc_keys AS MATERIALIZED (SELECT " + names +
                      ", pg_catalog.row_number() OVER (ORDER BY " + shuffled + ") AS n FROM (SELECT DISTINCT " +
                      list(incremental, [&](size_t i) { return "w." + pg::quote_name(columns[i]) + " AS " + k(i); }) +
                      " FROM wc_whole AS w) AS s)";
    // Three samples, each by itself, for one could hide what another one shows: of the keys that there are, two that
    // have none in common, so that neither is the whole of a small view; and of keys that tables have and the view has
    // not.
    std::vector<std::string> samples;
    for (const char *const part : {"0", "1"})
        samples.push_back("SELECT " + names + " FROM wc_keys WHERE n % 2 = " + part + " AND n <= 2 * " + sample_size);
    std::string others;
    for (const std::string &source : incremental.keys_of_tables)
        others += (others.empty() ? "" : " UNION ALL ") + std::string("SELECT ") +
                  list(incremental, [&](size_t i) { return "t." + k(i) + "::" + types[i] + " AS " + k(i); }) +
                  " FROM (" + source + ") AS t(" + names + ")";
    if (!others.empty())
        samples.push_back("SELECT " + names + " FROM (SELECT DISTINCT " + names + " FROM (" + others + ") AS o WHERE " +
                          list(
                              incremental, [](size_t i) { return "o." + k(i) + " IS NOT NULL"; }, " AND ") +
                          " AND NOT EXISTS (SELECT FROM wc_keys AS w WHERE " +
                          list(
                              incremental, [](size_t i) { return "w." + k(i) + " = o." + k(i); }, " AND ") +
                          ")) AS s ORDER BY " + shuffled + " LIMIT " + sample_size);
    std::string keys = "SELECT (SELECT pg_catalog.count(*) FROM wc_keys)";
    std::string sampled;
    std::string missing;
    std::string extra;
    const auto count = [](std::string &sum, const std::string &rows) {
        sum += (sum.empty() ? ", " : " + ") + std::string("(SELECT pg_catalog.count(*) FROM ") + rows + ")";
    };
    for (size_t part = 0; part < samples.size(); ++part) {
        const std::string number = std::to_string(part);
        const std::string sample = "wc_sample_" + number;
        const std::string given = "wc_given_" + number;
        const std::string wanted = "wc_wanted_" + number;
        sql += ", " + sample + " AS MATERIALIZED (" + samples[part] + ")";
        sql += ", " + given + " AS MATERIALIZED (" +
               query(list(incremental,
                          [&](size_t i) {
                              return "(SELECT pg_catalog.array_agg(s." + k(i) + " ORDER BY " + names + ") FROM " +
                                     sample + " AS s)::" + types[i] + "[]";
                          })) +
               ")";
        sql += ", " + wanted + " AS (SELECT w.* FROM wc_whole AS w WHERE (" +
               list(incremental, [&](size_t i) { return "w." + pg::quote_name(columns[i]); }) + ") IN (SELECT " +
               names + " FROM " + sample + "))";
        count(sampled, sample);
        count(missing, "(SELECT * FROM " + wanted + " EXCEPT ALL SELECT * FROM " + given + ") AS m");
        count(extra, "(SELECT * FROM " + given + " EXCEPT ALL SELECT * FROM " + wanted + ") AS e");
    }
    return sql + " " + keys + sampled + missing + extra;
}

} // namespace

Restriction try_restriction(pg::Spi &spi, const schema::View &view, const schema::Incremental &incremental) {
    const std::string sql = statement(spi, view, incremental);
    const pg::UserScope owner(facts(view.relid).owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    const pg::Row counts = spi.read(sql).rows[0];
    const auto number = [&](size_t i) { return std::stoll(*counts[i]); };
    Restriction found;
    found.unknown = number(0) < 2;
    if (number(2) + number(3) > 0)
        found.problem = "restricted to " + *counts[1] + " keys, its definition lacks " + *counts[2] + " and adds " +
                        *counts[3] + " of the rows that it gives as a whole";
    return found;
}

} // namespace wc::refresh
