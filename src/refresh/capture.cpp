// The trigger function wc_capture(): which keys of a base table a statement has touched.
//
// Arguments of the trigger: the table's canonical name, the captured columns, the compared columns (array literals of
// the site's column names). A writer must not fail because of us: where a column is not there any more, any row of the
// table counts as changed.
#include "refresh/capture.hpp"

#include "pg/compat.hpp"
#include "refresh/change_log.hpp"

extern "C" {
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/array.h"
#include "utils/bytea.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/tuplestore.h"
}

namespace wc::refresh {

namespace {

constexpr int arguments = 3;

struct Column {
    NameData name;
    Oid type;
    AttrNumber number;
    int16 length;
    bool by_value;
    FmgrInfo output; // of a captured column
};

// What a trigger's arguments come to on the table that it stands on; kept from one statement to the next.
struct Plan {
    MemoryContext memory;
    Oid relation;
    char *texts[arguments]; // the arguments
    bool complete;          // every column is there
    int captured;           // columns, first these
    int all;                // and then those that are only compared
    Column *columns;
};

struct PlanEntry {
    Oid trigger; // the key
    Plan *plan;
};

// So many triggers' plans are kept: one that writes to new partitions day after day begins anew at times.
constexpr long most_plans = 1000;

MemoryContext plans_memory = nullptr;
HTAB *plans = nullptr;

// How values are put into text: the same in every session, whatever the writer's settings.
class OutputStyle {
  public:
    OutputStyle() {
        DateStyle = USE_ISO_DATES;
        DateOrder = DATEORDER_YMD;
        IntervalStyle = INTSTYLE_POSTGRES;
        extra_float_digits = 1;
        bytea_output = BYTEA_OUTPUT_HEX;
    }
    OutputStyle(const OutputStyle &) = delete;
    OutputStyle &operator=(const OutputStyle &) = delete;
    ~OutputStyle() {
        DateStyle = date_style_;
        DateOrder = date_order_;
        IntervalStyle = interval_style_;
        extra_float_digits = float_digits_;
        bytea_output = bytea_output_;
        session_timezone = timezone_;
    }
    // Not in the constructor: it may raise.
    static void use_utc() { session_timezone = pg_tzset("GMT"); }

  private:
    int date_style_ = DateStyle;
    int date_order_ = DateOrder;
    int interval_style_ = IntervalStyle;
    int float_digits_ = extra_float_digits;
    int bytea_output_ = bytea_output;
    pg_tz *timezone_ = session_timezone;
};

// ---- Plain server code from here to the entry.

Datum *names_in(const char *literal, int *count) {
    const Datum array = OidInputFunctionCall(F_ARRAY_IN, const_cast<char *>(literal), TEXTOID, -1);
    Datum *elements = nullptr;
    bool *nulls = nullptr;
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, count);
    for (int i = 0; i < *count; ++i)
        if (nulls[i])
            ereport(ERROR,
                    (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("a column of wc_capture() is null")));
    return elements;
}

bool find_column(TupleDesc description, const char *name, Column *column) {
    for (int i = 0; i < description->natts; ++i) {
        const FormData_pg_attribute *attribute = TupleDescAttr(description, i);
        if (attribute->attisdropped || strcmp(NameStr(attribute->attname), name) != 0)
            continue;
        column->name = attribute->attname;
        column->type = attribute->atttypid;
        column->number = attribute->attnum;
        column->length = attribute->attlen;
        column->by_value = attribute->attbyval;
        return true;
    }
    return false;
}

Plan *make_plan(const TriggerData *data, MemoryContext memory) {
    const Trigger *trigger = data->tg_trigger;
    const TupleDesc description = RelationGetDescr(data->tg_relation);
    auto *plan = static_cast<Plan *>(palloc0(sizeof(Plan)));
    plan->memory = memory;
    plan->relation = RelationGetRelid(data->tg_relation);
    for (int i = 0; i < arguments; ++i)
        plan->texts[i] = pstrdup(trigger->tgargs[i]);
    int compared = 0;
    Datum *captured_names = names_in(plan->texts[1], &plan->captured);
    Datum *compared_names = names_in(plan->texts[2], &compared);
    plan->columns = static_cast<Column *>(palloc0(sizeof(Column) * (plan->captured + compared + 1)));
    plan->complete = true;
    for (int i = 0; i < plan->captured + compared; ++i) {
        const bool captured = i < plan->captured;
        char *name = TextDatumGetCString(captured ? captured_names[i] : compared_names[i - plan->captured]);
        Column *column = &plan->columns[plan->all];
        bool known = false;
        for (int k = 0; k < plan->all && !captured; ++k)
            known = known || strcmp(NameStr(plan->columns[k].name), name) == 0;
        if (known)
            continue;
        if (!find_column(description, name, column)) {
            plan->complete = false;
            break;
        }
        if (captured) {
            Oid output = InvalidOid;
            bool varlena = false;
            getTypeOutputInfo(column->type, &output, &varlena);
            fmgr_info_cxt(output, &column->output, memory);
        }
        ++plan->all;
    }
    return plan;
}

// A table may have been altered since, or the trigger replaced. One whose columns weren't all there is made anew each
// time: they may be there again.
bool still_valid(const Plan *plan, const TriggerData *data) {
    if (!plan->complete || plan->relation != RelationGetRelid(data->tg_relation))
        return false;
    for (int i = 0; i < arguments; ++i)
        if (strcmp(plan->texts[i], data->tg_trigger->tgargs[i]) != 0)
            return false;
    const TupleDesc description = RelationGetDescr(data->tg_relation);
    for (int i = 0; i < plan->all; ++i) {
        const Column &column = plan->columns[i];
        if (column.number > description->natts)
            return false;
        const FormData_pg_attribute *attribute = TupleDescAttr(description, column.number - 1);
        if (attribute->attisdropped || attribute->atttypid != column.type ||
            strcmp(NameStr(attribute->attname), NameStr(column.name)) != 0)
            return false;
    }
    return true;
}

Plan *plan_of(const TriggerData *data) {
    if (plans_memory == nullptr)
        plans_memory = AllocSetContextCreate(TopMemoryContext, "whitecross captures", ALLOCSET_DEFAULT_SIZES);
    if (plans != nullptr && hash_get_num_entries(plans) >= most_plans) {
        plans = nullptr;
        MemoryContextReset(plans_memory);
    }
    if (plans == nullptr) {
        HASHCTL control = {};
        control.keysize = sizeof(Oid);
        control.entrysize = sizeof(PlanEntry);
        control.hcxt = plans_memory;
        plans = hash_create("whitecross captures", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    }
    const Oid trigger = data->tg_trigger->tgoid;
    auto *entry = static_cast<PlanEntry *>(hash_search(plans, &trigger, HASH_FIND, nullptr));
    if (entry != nullptr && still_valid(entry->plan, data))
        return entry->plan;
    MemoryContext const memory =
        AllocSetContextCreate(CurrentMemoryContext, "whitecross capture", ALLOCSET_SMALL_SIZES);
    MemoryContext const caller = MemoryContextSwitchTo(memory);
    Plan *plan = make_plan(data, memory);
    MemoryContextSwitchTo(caller);
    if (entry == nullptr) {
        bool found = false;
        entry = static_cast<PlanEntry *>(hash_search(plans, &trigger, HASH_ENTER, &found));
    } else {
        MemoryContextDelete(entry->plan->memory);
    }
    entry->plan = plan;
    MemoryContextSetParent(memory, plans_memory); // no error can leave it without an owner
    return plan;
}

bool same_image(const Column &column, TupleTableSlot *before, TupleTableSlot *after) {
    bool null_before = false;
    bool null_after = false;
    const Datum old_value = slot_getattr(before, column.number, &null_before);
    const Datum new_value = slot_getattr(after, column.number, &null_after);
    if (null_before || null_after)
        return null_before == null_after;
    // A long value that was not written is the same toasted one: no need to fetch it.
    if (column.length == -1) {
        auto *const old_pointer = DatumGetPointer(old_value);
        auto *const new_pointer = DatumGetPointer(new_value);
        if (VARATT_IS_EXTERNAL_ONDISK(old_pointer) && VARATT_IS_EXTERNAL_ONDISK(new_pointer) &&
            memcmp(old_pointer, new_pointer, VARSIZE_EXTERNAL(old_pointer)) == 0)
            return true;
    }
    return datum_image_eq(old_value, new_value, column.by_value, column.length);
}

class Collector {
  public:
    explicit Collector(Plan *plan)
        : plan_(plan), notes_(plan->texts[0]),
          values_(static_cast<Datum *>(palloc(sizeof(Datum) * (plan->captured + 1)))),
          nulls_(static_cast<bool *>(palloc(sizeof(bool) * (plan->captured + 1)))),
          row_memory_(AllocSetContextCreate(CurrentMemoryContext, "whitecross row", ALLOCSET_SMALL_SIZES)) {}

    void row(TupleTableSlot *slot) {
        MemoryContext const caller = MemoryContextSwitchTo(row_memory_);
        for (int i = 0; i < plan_->captured; ++i) {
            Column &column = plan_->columns[i];
            const Datum value = slot_getattr(slot, column.number, &nulls_[i]);
            values_[i] = nulls_[i] ? 0 : CStringGetTextDatum(OutputFunctionCall(&column.output, value));
        }
        notes_.add(values_, nulls_, plan_->captured);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(row_memory_);
    }

    void change(TupleTableSlot *before, TupleTableSlot *after) {
        for (int i = 0; i < plan_->all; ++i)
            if (!same_image(plan_->columns[i], before, after)) {
                row(before);
                row(after);
                return;
            }
    }

    Notes &notes() { return notes_; }

  private:
    Plan *plan_;
    Notes notes_;
    Datum *values_;
    bool *nulls_;
    MemoryContext row_memory_;
};

// A reader of a transition table, which others may read too.
class Rows {
  public:
    Rows(Tuplestorestate *store, TupleDesc description)
        : store_(store), pointer_(tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND)),
          slot_(MakeSingleTupleTableSlot(description, &TTSOpsMinimalTuple)) {
        tuplestore_select_read_pointer(store_, pointer_);
        tuplestore_rescan(store_);
    }
    TupleTableSlot *next() {
        tuplestore_select_read_pointer(store_, pointer_);
        return tuplestore_gettupleslot(store_, true, false, slot_) ? slot_ : nullptr;
    }
    void end() { ExecDropSingleTupleTableSlot(slot_); }

  private:
    Tuplestorestate *store_;
    int pointer_;
    TupleTableSlot *slot_;
};

void collect_row(const TriggerData *data, Collector &collector) {
    if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
        collector.change(data->tg_trigslot, data->tg_newslot);
    else
        collector.row(data->tg_trigslot);
}

void collect_statement(const TriggerData *data, Collector &collector) {
    const bool deleted = TRIGGER_FIRED_BY_DELETE(data->tg_event);
    const bool updated = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
    const TupleDesc description = RelationGetDescr(data->tg_relation);
    Tuplestorestate *const first = deleted || updated ? data->tg_oldtable : data->tg_newtable;
    if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event) || first == nullptr || (updated && data->tg_newtable == nullptr)) {
        collector.notes().whole_table();
        return;
    }
    Rows rows(first, description);
    if (updated) {
        // The server adds the two images of a row one right after the other.
        Rows after(data->tg_newtable, description);
        while (TupleTableSlot *before = rows.next()) {
            CHECK_FOR_INTERRUPTS();
            TupleTableSlot *changed = after.next();
            if (changed == nullptr) {
                collector.notes().whole_table();
                break;
            }
            collector.change(before, changed);
        }
        after.end();
    } else {
        while (TupleTableSlot *slot = rows.next()) {
            CHECK_FOR_INTERRUPTS();
            collector.row(slot);
        }
    }
    rows.end();
}

void capture(const TriggerData *data, Oid schema) {
    if (data->tg_trigger->tgnargs != arguments)
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("wc_capture() takes three arguments: a table, its captured and its compared columns"),
                        errhint("Triggers with this function are made by wc_install().")));
    Plan *plan = plan_of(data);
    Collector collector(plan);
    if (!plan->complete)
        collector.notes().whole_table();
    else if (TRIGGER_FIRED_FOR_ROW(data->tg_event))
        collect_row(data, collector);
    else
        collect_statement(data, collector);
    collector.notes().write(schema);
}

} // namespace

void on_capture(FunctionCallInfo fcinfo) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        throw pg::Error(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "wc_capture() is not called by a trigger");
    const auto *data = reinterpret_cast<TriggerData *>(fcinfo->context);
    if (!TRIGGER_FIRED_AFTER(data->tg_event))
        throw pg::Error(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "wc_capture() must be fired after the event", {},
                        "Triggers with this function are made by wc_install().");
    const Oid function = fcinfo->flinfo->fn_oid;
    const OutputStyle style;
    pg::call([=] {
        OutputStyle::use_utc();
        capture(data, get_func_namespace(function));
    });
}

} // namespace wc::refresh
