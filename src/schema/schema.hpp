// What the other rooms may know of managed objects.
#pragma once

#include "pg/spi.hpp"

namespace wc::schema {

// A materialized view of the catalogue.
struct View {
    std::string name;                            // mv_...
    std::string schema;                          // base_schema
    Oid relid = InvalidOid;                      // InvalidOid: not there
    bool of_site = false;                        // by wc_add_view()
    std::vector<std::string> key_columns;        // of its unique index
    [[nodiscard]] std::string qualified() const; // quoted "schema"."name"
};

// The views of the catalogue, in name order; those that aren't installed have no relid.
std::vector<View> views(pg::Spi &spi);

// One of them, by its name with or without the prefix mv_. Throws 42704 with the list of names as hint.
View view(pg::Spi &spi, const std::string &name);

// Puts the triggers that capture a base table's changes in order: adds those that are missing on partitions and
// children, and switches on what is off. Takes its lock within whitecross.lock_timeout, which writers wait behind.
// Returns why it could not, or nothing; also where the object was never made, or is switched off.
std::optional<std::string> mend_triggers(pg::Spi &spi, const std::string &table);

// A setting of the site (base_schema, timezone, grades), the shipped default where the site has none.
std::string configuration(pg::Spi &spi, const std::string &name);

// What wc_install() calls for each view it has made and that isn't populated: room refresh fills and analyzes it.
// Returns why it could not ("condition name"), or nothing.
using FillView = std::optional<std::string> (*)(pg::Spi &spi, const View &view);
void on_view_made(FillView fill);

// What wc_install() calls last, where it has made a view: room refresh schedules what CREATE EXTENSION installed.
using AfterInstall = void (*)(pg::Spi &spi);
void on_views_installed(AfterInstall after);

// The condition on wc_change AS c of the changes that a view has not taken up: those of transactions that its consumed
// snapshot did not see. consumed: that as an SQL expression. Its first half is a range of the primary key.
std::string pending_condition(const std::string &consumed);

} // namespace wc::schema
