// What values of a type print.
#include "cache/printed.hpp"

#include "cache/stable_functions.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_proc.h"
#include "utils/typcache.h"
}

namespace wc::cache {

namespace {

// to_json() and the like call a cast to json, and a cast to text is what `x::text` means, where a user has made one.
bool casts_print_alike(Oid type) {
    static const Oid targets[] = {TEXTOID, VARCHAROID, JSONOID, JSONBOID};
    for (const Oid target : targets) {
        HeapTuple tuple = SearchSysCache2(CASTSOURCETARGET, ObjectIdGetDatum(type), ObjectIdGetDatum(target));
        if (!HeapTupleIsValid(tuple))
            continue;
        const Oid function = reinterpret_cast<Form_pg_cast>(GETSTRUCT(tuple))->castfunc;
        ReleaseSysCache(tuple);
        bool prints = false;
        if (OidIsValid(function) && (!follows_from_arguments(function, &prints) || prints))
            return false;
    }
    return true;
}

// Whether all columns of a composite type are so.
bool columns_are(Oid type, Oid relation, bool (*so)(Oid, List **), List **made_of) {
    *made_of = list_append_unique_oid(*made_of, relation);
    TupleDesc columns = lookup_rowtype_tupdesc_copy(type, -1);
    bool all = true;
    for (int i = 0; i < columns->natts && all; ++i) {
        const Form_pg_attribute column = TupleDescAttr(columns, i);
        all = column->attisdropped || so(column->atttypid, made_of);
    }
    return all;
}

struct Facts {
    char kind; // typtype
    Oid element;
    Oid base;
    Oid relation;
    Oid output;
};

Facts facts_of(Oid type) {
    HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for type %u", type);
    const auto *row = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
    // The server's name, int2vector and the like have elements and are no arrays.
    const Facts facts = {row->typtype, IsTrueArrayType(row) ? row->typelem : InvalidOid, row->typbasetype,
                         row->typrelid, row->typoutput};
    ReleaseSysCache(tuple);
    return facts;
}

} // namespace

bool follows_from_arguments(Oid function, bool *prints) {
    *prints = false;
    const char volatility = func_volatile(function);
    if (volatility == PROVOLATILE_IMMUTABLE)
        return true;
    if (volatility != PROVOLATILE_STABLE || function >= FirstGenbkiObjectId)
        return false;
    const Stable kind = stable_function(function);
    *prints = kind == Stable::Prints;
    return kind == Stable::Settings || kind == Stable::Prints;
}

bool prints_alike(Oid type, List **made_of) {
    check_stack_depth();
    if (type == UNKNOWNOID || type == CSTRINGOID)
        return true;
    const Facts facts = facts_of(type);
    if (!casts_print_alike(type))
        return false;
    switch (facts.kind) {
    case TYPTYPE_DOMAIN:
        return prints_alike(facts.base, made_of);
    case TYPTYPE_COMPOSITE:
        return columns_are(type, facts.relation, prints_alike, made_of);
    case TYPTYPE_RANGE:
        return prints_alike(get_range_subtype(type), made_of);
    case TYPTYPE_MULTIRANGE:
        return prints_alike(get_multirange_range(type), made_of);
    case TYPTYPE_ENUM:
        return true;
    case TYPTYPE_PSEUDO:
        return false;
    default:
        break;
    }
    if (OidIsValid(facts.element))
        return prints_alike(facts.element, made_of);
    bool prints = false;
    return follows_from_arguments(facts.output, &prints) && !prints;
}

bool can_be_shared(Oid type, List **made_of) {
    check_stack_depth();
    const Facts facts = facts_of(type);
    switch (facts.kind) {
    case TYPTYPE_DOMAIN:
        return can_be_shared(facts.base, made_of);
    case TYPTYPE_COMPOSITE:
        return columns_are(type, facts.relation, can_be_shared, made_of);
    case TYPTYPE_PSEUDO:
        return false;
    default:
        return !OidIsValid(facts.element) || can_be_shared(facts.element, made_of);
    }
}

} // namespace wc::cache
