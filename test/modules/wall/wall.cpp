// What the tests of the wall (test/sql/wall.sql, test/t/010_wall_crash.pl) call: small functions that do to src/pg what
// the extension's own code does, and worse. A library that only the tests load; it is never installed.
#include "pg/expression.hpp"
#include "pg/function.hpp"
#include "pg/module.hpp"
#include "pg/relation.hpp"
#include "pg/transaction.hpp"

#include <malloc.h>
#include <sys/resource.h>

extern "C" {
#include "storage/lwlock.h"
}

using namespace wc;

namespace {

// Objects with a destructor that are alive: none may be left when a statement has failed.
int live = 0;

struct Counted {
    Counted() { ++live; }
    Counted(const Counted &) { ++live; }
    Counted &operator=(const Counted &) = default;
    ~Counted() { --live; }
};

void line(std::string &text, const char *name, const char *value) {
    if (value != nullptr)
        text += (text.empty() ? "" : "\n") + std::string(name) + ": " + value;
}

std::string described(const pg::Error &error) {
    const ErrorData &data = error.data();
    std::string text;
    line(text, "sqlstate", pg::sqlstate_text(error.sqlstate()).c_str());
    line(text, "condition", pg::condition_name(error.sqlstate()).c_str());
    line(text, "message", data.message);
    line(text, "detail", data.detail);
    line(text, "hint", data.hint);
    line(text, "context", data.context);
    line(text, "schema", data.schema_name);
    line(text, "table", data.table_name);
    line(text, "column", data.column_name);
    line(text, "datatype", data.datatype_name);
    line(text, "constraint", data.constraint_name);
    return text;
}

std::string described(const std::optional<pg::Error> &error) {
    return error ? described(*error) : std::string("no error");
}

// An object at every level of a recursion, and in a container, while SQL runs at the bottom.
void run_under_objects(pg::Spi &spi, const std::string &sql, int depth) {
    const Counted here;
    const std::vector<Counted> more(3);
    const auto owned = std::make_unique<Counted>();
    if (depth > 0)
        run_under_objects(spi, sql, depth - 1);
    else
        spi.query(sql);
}

[[noreturn]] void loop_for_ever(const std::string &kind) {
    const Counted here;
    if (kind == "c++") {
        for (;;)
            pg::check_for_interrupts();
    }
    pg::Spi spi;
    if (kind == "spi") {
        for (;;)
            spi.query("SELECT 1");
    }
    // Work whose failures are expected, and a cancel among them.
    for (;;)
        (void)pg::attempt([&] {
            const Counted inside;
            spi.query("SELECT pg_catalog.pg_sleep(0.01), 1/0");
        });
}

bool fail_next_subtransaction_commit = false;

void subtransaction_event(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    if (event != SUBXACT_EVENT_PRE_COMMIT_SUB || !fail_next_subtransaction_commit)
        return;
    fail_next_subtransaction_commit = false;
    ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("refused at the commit of a subtransaction")));
}

// Uses everything that looks at exceptions in flight, while one is.
class WorksWhileUnwinding {
  public:
    explicit WorksWhileUnwinding(std::string &seen) : seen_(seen) {}
    WorksWhileUnwinding(const WorksWhileUnwinding &) = delete;
    WorksWhileUnwinding &operator=(const WorksWhileUnwinding &) = delete;
    ~WorksWhileUnwinding() {
        pg::Spi outer;
        pg::SettingScope settings;
        settings.set("application_name", "unwinding");
        const auto failure = pg::attempt([] {
            pg::Spi spi;
            pg::SettingScope inner;
            inner.set("application_name", "deeper");
            const pg::Relation relation(RelationRelationId, AccessShareLock);
            spi.query("SELECT 1/0");
        });
        seen_ = failure ? pg::condition_name(failure->sqlstate()) : "no error";
        {
            const pg::Relation relation(RelationRelationId, AccessShareLock);
            pg::Spi spi;
            seen_ += ", " + spi.value("SELECT pg_catalog.current_setting('application_name')").value_or("none");
        }
        seen_ += ", " + outer.value("SELECT 'outer connection works'").value_or("none");
    }

  private:
    std::string &seen_;
};

// Lets the process have no more than a little memory beyond what it has at this moment.
void limit_memory(void *) {
    FILE *file = std::fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (file == nullptr || std::fscanf(file, "%lu", &pages) != 1)
        std::abort();
    (void)std::fclose(file);
    rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = pages * 4096 + (16UL << 20);
    setrlimit(RLIMIT_AS, &limit);
}

} // namespace

extern "C" WC_EXPORT void _PG_init(void);

extern "C" void _PG_init(void) {
    RegisterSubXactCallback(subtransaction_event, nullptr);
}

// wall_live() -> objects of ours that are alive.
WC_FUNCTION(wall_live) {
    return Int32GetDatum(live);
}

// wall_counted(sql, depth): SQL at the bottom of a recursion with objects at each level -> how many were alive there.
WC_FUNCTION(wall_counted) {
    const std::string sql = pg::required_text(fcinfo, 0, "sql");
    const int depth = pg::int_argument(fcinfo, 1).value_or(0);
    pg::Spi spi;
    run_under_objects(spi, sql, depth);
    return Int32GetDatum(live);
}

// wall_nested(function_name, sql, depth): calls itself through SQL, so that guards stand in one another.
WC_FUNCTION(wall_nested) {
    const std::string self = pg::required_text(fcinfo, 0, "function_name");
    const std::string sql = pg::required_text(fcinfo, 1, "sql");
    const int depth = pg::int_argument(fcinfo, 2).value_or(0);
    const Counted here;
    pg::Spi spi;
    if (depth > 0)
        spi.query("SELECT " + self + "($1, $2, $3::integer)", {self, sql, std::to_string(depth - 1)});
    else
        spi.query(sql);
    return Int32GetDatum(live);
}

// wall_throw(kind): an exception of that kind.
WC_FUNCTION(wall_throw) {
    const std::string kind = pg::required_text(fcinfo, 0, "kind");
    const Counted here;
    if (kind == "bad_alloc")
        throw std::bad_alloc();
    if (kind == "new")
        return Int32GetDatum(std::string(std::string().max_size(), 'x').size()); // more than there is
    if (kind == "exception")
        throw std::runtime_error("a C++ exception");
    if (kind == "int")
        throw 42;
    if (kind == "long")
        throw std::runtime_error("x" + std::string(10, ' ') + [] {
            std::string text;
            for (int i = 0; i < 200; ++i)
                text += "\xc3\xa4"; // two bytes each, at odd places
            return text;
        }());
    if (kind == "percent")
        throw std::runtime_error("100%s sure %n");
    if (kind == "error")
        throw pg::Error(ERRCODE_LOCK_NOT_AVAILABLE, "message of ours", "Detail of ours.", "Hint of ours.");
    if (kind == "bare error")
        throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "message of ours");
    // A C++ exception that passes a call guard: the server must not be left with a handler in a frame that is gone.
    if (kind == "inside call")
        pg::call([]() -> int { throw std::runtime_error("thrown inside a call guard"); });
    throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown kind");
}

// wall_stale_handler(): after an exception out of a call guard, the server raises an error by itself.
WC_FUNCTION(wall_stale_handler) {
    sigjmp_buf *const handler = PG_exception_stack;
    try {
        pg::call([]() -> int { throw std::runtime_error("thrown inside a call guard"); });
    } catch (const std::runtime_error &) {
        return BoolGetDatum(PG_exception_stack == handler);
    }
    return BoolGetDatum(false);
}

// wall_attempt(sql) -> the report that attempt() caught; the connection is used again afterwards.
WC_FUNCTION(wall_attempt) {
    const std::string sql = pg::required_text(fcinfo, 0, "sql");
    pg::Spi spi;
    const auto failure = pg::attempt([&] {
        const Counted here;
        spi.query(sql);
    });
    const auto after = spi.value("SELECT 'the connection works'");
    return pg::return_text(fcinfo, described(failure) + "\nafter: " + after.value_or("nothing"));
}

// wall_rethrow(sql): the report caught by attempt(), thrown on, three levels deep.
WC_FUNCTION(wall_rethrow) {
    const std::string sql = pg::required_text(fcinfo, 0, "sql");
    pg::Spi spi;
    const auto failure = pg::attempt([&] {
        const auto middle = pg::attempt([&] {
            const auto inner = pg::attempt([&] {
                const Counted here;
                pg::Spi own;
                own.query(sql);
            });
            if (inner)
                throw pg::Error(*inner);
        });
        if (middle)
            throw pg::Error(*middle);
    });
    if (failure)
        throw pg::Error(*failure);
    return pg::return_null(fcinfo);
}

// wall_copied(sql): the report survives copies of the exception, and the end of the first.
WC_FUNCTION(wall_copied) {
    const std::string sql = pg::required_text(fcinfo, 0, "sql");
    std::vector<pg::Error> copies;
    std::exception_ptr flying;
    {
        pg::Spi spi;
        (void)pg::attempt([&] {
            try {
                spi.query(sql);
            } catch (pg::Error &error) {
                copies.push_back(error);
                flying = std::current_exception();
                throw;
            }
        });
        // Other reports come and go meanwhile.
        for (int i = 0; i < 10; ++i)
            (void)pg::attempt([&] { spi.query("SELECT 1/0"); });
    }
    copies.insert(copies.end(), 5, pg::Error(copies.front()));
    copies.erase(copies.begin());
    std::rethrow_exception(flying);
}

// wall_scripts(first, second, third): the first alone, the second and the third in an attempt inside an attempt,
// -> conditions of the outer and the inner attempt.
WC_FUNCTION(wall_scripts) {
    const std::string first = pg::required_text(fcinfo, 0, "first");
    const std::string second = pg::required_text(fcinfo, 1, "second");
    const std::string third = pg::required_text(fcinfo, 2, "third");
    pg::Spi spi;
    spi.query(first);
    std::optional<pg::Error> inner;
    const auto outer = pg::attempt([&] {
        inner = pg::attempt([&] { spi.query(third); });
        spi.query(second);
    });
    const auto name = [](const std::optional<pg::Error> &error) {
        return error ? pg::condition_name(error->sqlstate()) : std::string("none");
    };
    return pg::return_text(fcinfo, "outer: " + name(outer) + ", inner: " + name(inner));
}

// wall_foreign_exception(sql): SQL in an attempt that a C++ exception ends.
WC_FUNCTION(wall_foreign_exception) {
    const std::string sql = pg::required_text(fcinfo, 0, "sql");
    pg::Spi spi;
    std::string caught = "nothing";
    try {
        (void)pg::attempt([&] {
            spi.query(sql);
            throw std::runtime_error("not an error report");
        });
    } catch (const std::runtime_error &error) {
        caught = error.what();
    }
    return pg::return_text(fcinfo, caught);
}

// wall_failed_commit(sql): an attempt that can't be committed is rolled back, and says why.
WC_FUNCTION(wall_failed_commit) {
    const std::string sql = pg::required_text(fcinfo, 0, "sql");
    pg::Spi spi;
    const auto level = pg::call([] { return GetCurrentTransactionNestLevel(); });
    const auto failure = pg::attempt([&] {
        spi.query(sql);
        fail_next_subtransaction_commit = true;
    });
    const bool balanced = level == pg::call([] { return GetCurrentTransactionNestLevel(); });
    return pg::return_text(fcinfo, described(failure) + "\nnest level as before: " + (balanced ? "yes" : "no"));
}

// wall_loop(kind): runs until it is stopped.
WC_FUNCTION(wall_loop) {
    loop_for_ever(pg::required_text(fcinfo, 0, "kind"));
}

// wall_setting(name, value, sql): SQL with a setting -> what the setting was then.
WC_FUNCTION(wall_setting) {
    const std::string name = pg::required_text(fcinfo, 0, "name");
    const std::string value = pg::required_text(fcinfo, 1, "value");
    const std::string sql = pg::required_text(fcinfo, 2, "sql");
    pg::Spi spi;
    pg::SettingScope settings;
    settings.set(name.c_str(), value.c_str());
    const auto inside = spi.value("SELECT pg_catalog.current_setting($1)", {name});
    spi.query(sql);
    return pg::return_text(fcinfo, inside);
}

// wall_kept(sql, value): a statement with one parameter, by a plan that the session keeps -> its value.
WC_FUNCTION(wall_kept) {
    const std::string sql = pg::required_text(fcinfo, 0, "sql");
    const pg::Text value = pg::text_argument(fcinfo, 1);
    pg::Spi spi;
    return pg::return_text(fcinfo, spi.value(sql, {value}, pg::Planned::Kept));
}

// wall_setting_attempt(name, value, sql): the same in an attempt -> then, and after it.
WC_FUNCTION(wall_setting_attempt) {
    const std::string name = pg::required_text(fcinfo, 0, "name");
    const std::string value = pg::required_text(fcinfo, 1, "value");
    const std::string sql = pg::required_text(fcinfo, 2, "sql");
    pg::Spi spi;
    pg::Text inside;
    (void)pg::attempt([&] {
        pg::SettingScope settings;
        settings.set(name.c_str(), value.c_str());
        inside = spi.value("SELECT pg_catalog.current_setting($1)", {name});
        spi.query(sql);
    });
    const auto after = spi.value("SELECT pg_catalog.current_setting($1)", {name});
    return pg::return_text(fcinfo, "inside: " + inside.value_or("") + ", after: " + after.value_or(""));
}

// wall_user(role, sql): SQL as another role -> who that was.
WC_FUNCTION(wall_user) {
    const std::string role = pg::required_text(fcinfo, 0, "role");
    const std::string sql = pg::required_text(fcinfo, 1, "sql");
    pg::Spi spi;
    const char *const name = role.c_str();
    const Oid user = pg::call([=] { return get_role_oid(name, false); });
    const pg::UserScope scope(user, SECURITY_LOCAL_USERID_CHANGE);
    const auto inside = spi.value("SELECT current_user");
    spi.query(sql);
    return pg::return_text(fcinfo, inside);
}

// wall_user_attempt(role, sql): the same in an attempt -> who, then, and after it.
WC_FUNCTION(wall_user_attempt) {
    const std::string role = pg::required_text(fcinfo, 0, "role");
    const std::string sql = pg::required_text(fcinfo, 1, "sql");
    pg::Spi spi;
    const char *const name = role.c_str();
    const Oid user = pg::call([=] { return get_role_oid(name, false); });
    pg::Text inside;
    (void)pg::attempt([&] {
        const pg::UserScope scope(user, SECURITY_LOCAL_USERID_CHANGE);
        inside = spi.value("SELECT current_user");
        spi.query(sql);
    });
    const auto after = spi.value("SELECT current_user");
    return pg::return_text(fcinfo, "inside: " + inside.value_or("") + ", after: " + after.value_or(""));
}

// wall_relation(relation, ending): opens a relation, and leaves in one of the ways there are.
WC_FUNCTION(wall_relation) {
    const Oid relid = PG_GETARG_OID(0);
    const std::string ending = pg::required_text(fcinfo, 1, "ending");
    const auto use = [&] {
        const pg::Relation relation(relid, AccessShareLock);
        if (ending == "exception")
            throw std::runtime_error("while the relation is open");
        if (ending == "error" || ending == "attempt") {
            pg::Spi spi;
            spi.query("SELECT 1/0");
        }
        return relation.get()->rd_att->natts;
    };
    if (ending != "attempt")
        return Int32GetDatum(use());
    const auto failure = pg::attempt([&] { (void)use(); });
    return Int32GetDatum(failure ? -1 : 0);
}

// wall_unwinding() -> what an object could do while an exception was passing.
WC_FUNCTION(wall_unwinding) {
    std::string seen;
    pg::Spi spi;
    const auto failure = pg::attempt([&] {
        const WorksWhileUnwinding object(seen);
        spi.query("SELECT * FROM wall_no_such_table");
    });
    const auto after = spi.value("SELECT pg_catalog.current_setting('application_name')");
    return pg::return_text(fcinfo, pg::condition_name(failure->sqlstate()) + ": " + seen +
                                       ", after: " + after.value_or("none"));
}

// wall_holdoff(sql): SQL fails while C++ code holds interrupts off -> whether that was still so afterwards.
WC_FUNCTION(wall_holdoff) {
    const std::string sql = pg::required_text(fcinfo, 0, "sql");
    pg::Spi spi;
    HOLD_INTERRUPTS();
    HOLD_CANCEL_INTERRUPTS();
    const uint32 held = InterruptHoldoffCount;
    const uint32 cancels = QueryCancelHoldoffCount;
    const auto failure = pg::attempt([&] { spi.query(sql); });
    const bool as_before = InterruptHoldoffCount == held && QueryCancelHoldoffCount == cancels;
    InterruptHoldoffCount = 0;
    QueryCancelHoldoffCount = 0;
    return BoolGetDatum(failure && as_before);
}

// wall_raise_held(): an error that leaves while interrupts are held off.
WC_FUNCTION(wall_raise_held) {
    pg::Spi spi;
    HOLD_INTERRUPTS();
    spi.query("SELECT 1/0");
    return pg::return_null(fcinfo);
}

// wall_violation(level): a violation of no constraint that there is, reported while locks are held that an ordinary
// error would find free. level: error or fatal.
WC_FUNCTION(wall_violation) {
    const int level = pg::required_text(fcinfo, 0, "level") == "fatal" ? FATAL : ERROR;
    pg::call([=] {
        LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
        LWLockAcquire(TwoPhaseStateLock, LW_SHARED);
        ereport(level, (errcode(ERRCODE_CHECK_VIOLATION), errmsg("a violation with locks held")));
    });
    return pg::return_null(fcinfo);
}

// wall_held() -> how often interrupts are held off.
WC_FUNCTION(wall_held) {
    return Int32GetDatum(static_cast<int32>(InterruptHoldoffCount));
}

// wall_text(size): a text made while a connection is open -> that text.
WC_FUNCTION(wall_text) {
    const int size = pg::int_argument(fcinfo, 0).value_or(0);
    pg::Spi outer;
    pg::Spi inner;
    const auto text = inner.value("SELECT pg_catalog.repeat('0123456789', $1::integer / 10)", {std::to_string(size)});
    return pg::return_text(fcinfo, text);
}

// wall_trim(): gives the system back what the process has freed, so that what is resident is what is used.
WC_FUNCTION(wall_trim) {
    (void)malloc_trim(0);
    return pg::return_null(fcinfo);
}

// wall_same_expression(relation, expression, stored, predicate) -> whether they are the same.
WC_FUNCTION(wall_same_expression) {
    return BoolGetDatum(pg::same_expression(PG_GETARG_OID(0), pg::required_text(fcinfo, 1, "expression"),
                                            pg::required_text(fcinfo, 2, "stored"), PG_GETARG_BOOL(3)));
}

// wall_foreign_function(select) -> the first function in it that isn't built in.
WC_FUNCTION(wall_foreign_function) {
    return pg::return_text(fcinfo, pg::foreign_function(pg::required_text(fcinfo, 0, "select")));
}

// wall_no_memory_for_report(): no memory is left for the copy of an error's report.
WC_FUNCTION(wall_no_memory_for_report) {
    const Counted here;
    rlimit before;
    getrlimit(RLIMIT_AS, &before);
    std::string outcome = "no exception";
    try {
        pg::call([] {
            ErrorContextCallback callback = {error_context_stack, limit_memory, nullptr};
            error_context_stack = &callback; // runs when the report is complete
            ereport(ERROR, (errmsg("an error with a long detail"), errdetail("%*s", 64 << 20, "x")));
        });
    } catch (const std::bad_alloc &) {
        outcome = "std::bad_alloc";
    } catch (const pg::Error &) {
        outcome = "the report";
    }
    setrlimit(RLIMIT_AS, &before);
    return pg::return_text(fcinfo, outcome);
}
