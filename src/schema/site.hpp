// One look at the site: its settings, the tables that are there, and what stands for each canonical column.
#pragma once

#include "pg/spi.hpp"

#include <map>

namespace wc::schema {

// Where the catalogue is read from, as SQL: what is shipped and what the site has added (wc_add_view), as one.
struct Catalogue {
    std::string views;   // as wc_view_definition
    std::string sources; // as wc_view_source, and whether the keys are the changed row's own columns (direct)
    std::string indexes; // as wc_index_definition
    std::string tables;  // table_name: every table that is looked at
    bool of_site = true; // false: the extension's version here knows no views of the site's own
};
Catalogue catalogue(pg::Spi &spi);

// A column as the site has it.
struct SiteColumn {
    std::string name;
    std::string type;      // format_type
    std::string base_type; // pg_type.typname, of the base type for a domain
    bool is_enum = false;
    std::vector<std::string> labels; // of an enum
    int declared_length = 0;         // characters of varchar(n), char(n); 0: none declared
};

struct SiteTable {
    std::string name;
    Oid relid = InvalidOid;
    std::map<std::string, SiteColumn> columns;
};

// A canonical column: what the catalogue says of it.
struct CanonicalColumn {
    std::string type;
    bool coerce = false;
    std::vector<std::string> candidates;
};

// A row of another table that a mapping may refer to.
struct Lookup {
    std::string target;
    std::vector<std::pair<std::string, std::string>> join; // canonical column here = canonical column there
};

// What stands for a canonical column.
struct Resolution {
    enum class Kind { absent, column, lookup, expression };
    Kind kind = Kind::absent;
    std::string column;     // column: the site's column; lookup: the canonical column of its target
    std::string lookup;     // lookup
    std::string expression; // as mapped
    bool from_site = false; // by wc_map_column, not by default
};

class Site {
  public:
    // Reads it all in the current snapshot.
    explicit Site(pg::Spi &spi);

    [[nodiscard]] const std::string &setting(const std::string &name) const;
    [[nodiscard]] std::vector<std::string> grades() const;
    [[nodiscard]] const std::string &extension_schema() const { return extension_schema_; }
    [[nodiscard]] const Catalogue &catalogue() const { return catalogue_; }

    // The table of that name in base_schema; null where there is none.
    [[nodiscard]] const SiteTable *table(const std::string &name) const;
    [[nodiscard]] bool is_canonical(const std::string &table, const std::string &column) const;
    [[nodiscard]] bool is_canonical_table(const std::string &table) const;
    // None of a table that only the site's own views read.
    [[nodiscard]] const std::map<std::string, CanonicalColumn> &canonical_columns(const std::string &table) const;
    [[nodiscard]] const std::vector<std::string> &canonical_tables() const { return canonical_tables_; }

    // What stands for a column of a table. One that isn't canonical stands for itself, where the table has it.
    [[nodiscard]] Resolution resolve(const std::string &table, const std::string &canonical) const;
    [[nodiscard]] const Lookup *lookup(const std::string &table, const std::string &name) const;
    [[nodiscard]] std::vector<std::string> lookup_names(const std::string &table) const;

    // The site's column for a canonical one that is a plain column; null otherwise.
    [[nodiscard]] const SiteColumn *column(const std::string &table, const std::string &canonical) const;

    // schema.name, quoted.
    [[nodiscard]] std::string qualified(const std::string &relation) const;

  private:
    [[nodiscard]] Resolution candidate(const std::string &table, const std::string &expression) const;

    std::string extension_schema_;
    Catalogue catalogue_;
    std::map<std::string, std::string> settings_;
    std::map<std::string, SiteTable> tables_;
    std::map<std::string, std::map<std::string, CanonicalColumn>> canonical_;
    std::vector<std::string> canonical_tables_;
    std::map<std::pair<std::string, std::string>, Lookup> lookups_;
    std::map<std::pair<std::string, std::string>, std::string> mappings_;
};

} // namespace wc::schema
