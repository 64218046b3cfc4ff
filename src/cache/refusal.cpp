// The words of refusals.
#include "cache/refusal.hpp"

namespace wc::cache {

const char *word(Refusal reason) noexcept {
    switch (reason) {
    case Refusal::NotPreloaded:
        return "not_preloaded";
    case Refusal::Off:
        return "off";
    case Refusal::Recovery:
        return "recovery";
    case Refusal::NotReady:
        return "not_ready";
    case Refusal::Isolation:
        return "isolation";
    case Refusal::OwnWrites:
        return "own_writes";
    case Refusal::OwnDdl:
        return "own_ddl";
    case Refusal::NoRows:
        return "no_rows";
    case Refusal::Utility:
        return "utility";
    case Refusal::ModifiesData:
        return "modifies_data";
    case Refusal::RowMarks:
        return "row_marks";
    case Refusal::VolatileFunction:
        return "volatile_function";
    case Refusal::StableFunction:
        return "stable_function";
    case Refusal::Clock:
        return "clock";
    case Refusal::CurrentUser:
        return "current_user";
    case Refusal::RowSecurity:
        return "row_security";
    case Refusal::TemporaryTable:
        return "temporary_table";
    case Refusal::ForeignTable:
        return "foreign_table";
    case Refusal::CatalogueTable:
        return "catalogue_table";
    case Refusal::Sequence:
        return "sequence";
    case Refusal::Tablesample:
        return "tablesample";
    case Refusal::DomainCheck:
        return "domain_check";
    case Refusal::ObjectIdentifier:
        return "object_identifier";
    case Refusal::RecordType:
        return "record_type";
    case Refusal::TooManyTables:
        return "too_many_tables";
    case Refusal::OtherQuery:
        return "other_query";
    case Refusal::Written:
        return "written";
    case Refusal::Forgotten:
        return "forgotten";
    case Refusal::TooLarge:
        return "too_large";
    case Refusal::NoRoom:
        return "no_room";
    case Refusal::NoMemory:
        return "no_memory";
    case Refusal::Unseen:
        return "unseen";
    case Refusal::Count:
        break;
    }
    return "";
}

} // namespace wc::cache
