// Running a query.
#include "cache/run.hpp"

#include "pg/clock.hpp"

extern "C" {
#include "nodes/makefuncs.h"
#include "tcop/dest.h"
}

namespace wc::cache {

// Where the rows go. It lives in the memory of the function's caller, and is plain server code.
struct Run::Receiver {
    DestReceiver shared; // first: the server knows it as this
    Shape shape;
    rows::Output *out;
    rows::Pack *pack;
    MemoryContext row_memory;
    TupleDesc columns; // of the query's rows
    FmgrInfo to_jsonb;
    TupleDesc json;

    static Receiver &of(DestReceiver *self) { return *reinterpret_cast<Receiver *>(self); }

    void take_json(TupleTableSlot *row) {
        slot_getallattrs(row);
        HeapTuple const tuple = heap_form_tuple(columns, row->tts_values, row->tts_isnull);
        const Datum value = FunctionCall1(&to_jsonb, HeapTupleGetDatum(tuple));
        const bool null = false;
        MinimalTuple const kept = rows::flat_row(json, &value, &null);
        if (pack != nullptr)
            rows::add(*pack, kept);
        rows::put(*out, kept);
    }

    void take_row(TupleTableSlot *row) {
        if (pack == nullptr || pack->full()) {
            rows::put(*out, row);
            return;
        }
        slot_getallattrs(row);
        MinimalTuple const kept = rows::flat_row(columns, row->tts_values, row->tts_isnull);
        rows::add(*pack, kept);
        rows::put(*out, kept);
    }

    // Views and functions may have changed since the query was analysed: so the columns are looked at again.
    static void startup(DestReceiver *self, int, TupleDesc given) {
        Receiver &here = of(self);
        MemoryContext const caller = MemoryContextSwitchTo(here.out->memory);
        here.columns = CreateTupleDescCopy(given);
        if (here.shape == Shape::Json)
            here.columns = BlessTupleDesc(here.columns);
        else
            rows::fit(*here.out, here.columns);
        MemoryContextSwitchTo(caller);
    }

    static bool receive(TupleTableSlot *row, DestReceiver *self) {
        Receiver &here = of(self);
        MemoryContext const caller = MemoryContextSwitchTo(here.row_memory);
        if (here.shape == Shape::Json)
            here.take_json(row);
        else
            here.take_row(row);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(here.row_memory);
        return true;
    }

    static void nothing(DestReceiver *) {}
};

TupleDesc json_row() {
    TupleDesc const row = CreateTemplateTupleDesc(1);
    TupleDescInitEntry(row, 1, "value", JSONBOID, -1, 0);
    return row;
}

Run::Run(const Question &question, Shape shape, rows::Output &out, rows::Pack *pack)
    : question_(question), receiver_(pg::call([=, to = &out] {
          MemoryContext const caller = MemoryContextSwitchTo(to->memory);
          auto *const made = static_cast<Receiver *>(palloc0(sizeof(Receiver)));
          made->shared = {Receiver::receive, Receiver::startup, Receiver::nothing, Receiver::nothing, DestTuplestore};
          made->shape = shape;
          made->out = to;
          made->pack = pack;
          made->row_memory = AllocSetContextCreate(to->memory, "whitecross cached row", ALLOCSET_SMALL_SIZES);
          if (shape == Shape::Json) {
              made->json = json_row();
              fmgr_info(F_TO_JSONB, &made->to_jsonb);
              Node *const row = reinterpret_cast<Node *>(makeNullConst(RECORDOID, -1, InvalidOid));
              fmgr_info_set_expr(reinterpret_cast<Node *>(makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(row),
                                                                       InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL)),
                                 &made->to_jsonb);
          }
          MemoryContextSwitchTo(caller);
          return made;
      })) {}

const DestReceiver *Run::rows() const noexcept {
    return &receiver_->shared;
}

namespace {

// The server heeds plan_cache_mode before what it was told of this one statement.
class OwnPlan {
  public:
    OwnPlan() noexcept : before_(std::exchange(plan_cache_mode, PLAN_CACHE_MODE_FORCE_CUSTOM_PLAN)) {}
    OwnPlan(const OwnPlan &) = delete;
    OwnPlan &operator=(const OwnPlan &) = delete;
    ~OwnPlan() {
        if (plan_cache_mode == PLAN_CACHE_MODE_FORCE_CUSTOM_PLAN) // and nothing that ran has set another
            plan_cache_mode = before_;
    }

  private:
    const int before_;
};

} // namespace

double Run::operator()(ParamListInfo values) {
    const OwnPlan own_plan;
    const int64 began = pg::clock::microseconds();
    SPIPlanPtr const plan = question_.plan();
    DestReceiver *const rows = &receiver_->shared;
    pg::call([=] {
        if (SPI_connect() != SPI_OK_CONNECT)
            elog(ERROR, "could not connect to the server programming interface");
        // Planning evaluates functions of constants, which may read what they don't say that they read: so it has a
        // snapshot of now, and is done each time. The server would keep the plan of a query that has no parameters.
        PushActiveSnapshot(GetTransactionSnapshot());
        SPIExecuteOptions options = {};
        options.params = values != nullptr ? values : makeParamList(0);
        options.dest = rows;
        const int code = SPI_execute_plan_extended(plan, &options);
        if (code < 0)
            elog(ERROR, "statement failed in the server programming interface: %s", SPI_result_code_string(code));
        PopActiveSnapshot();
        SPI_finish();
    });
    return static_cast<double>(pg::clock::microseconds() - began) / 1e3;
}

} // namespace wc::cache
