// SQL from C++.
#include "pg/spi.hpp"

#include "pg/kept.hpp"

namespace wc::pg {

Spi::Spi() : exceptions_(std::uncaught_exceptions()) {
    call([] {
        if (SPI_connect() != SPI_OK_CONNECT)
            elog(ERROR, "could not connect to the server programming interface");
    });
}

Spi::~Spi() {
    if (std::uncaught_exceptions() == exceptions_)
        SPI_finish();
}

Result Spi::query(const std::string &sql, const std::vector<Text> &parameters, Planned planned) {
    return run(sql, parameters, false, planned);
}

Result Spi::read(const std::string &sql, const std::vector<Text> &parameters, Planned planned) {
    return run(sql, parameters, true, planned);
}

Result Spi::run(const std::string &sql, const std::vector<Text> &parameters, bool read_only, Planned planned) {
    const auto count = parameters.size();
    std::vector<Oid> types(count, TEXTOID);
    std::vector<const char *> texts(count);
    for (size_t i = 0; i < count; ++i)
        texts[i] = parameters[i] ? parameters[i]->c_str() : nullptr;

    // The plain half: run, and turn every value into a C string of the connection's memory.
    struct Cells {
        char **values = nullptr;
        uint64_t rows = 0;
        uint64_t processed = 0;
        int columns = 0;
    };
    const char *const text = sql.c_str();
    Oid *const type_array = types.data();
    const char **const text_array = texts.data();
    const Cells cells = call([=] {
        Cells out;
        int code;
        if (count == 0 && planned == Planned::Once) {
            code = SPI_execute(text, read_only, 0);
        } else {
            auto *values = static_cast<Datum *>(palloc0(sizeof(Datum) * count));
            auto *nulls = static_cast<char *>(palloc0(count));
            for (size_t i = 0; i < count; ++i) {
                nulls[i] = text_array[i] == nullptr ? 'n' : ' ';
                if (text_array[i] != nullptr)
                    values[i] = CStringGetTextDatum(text_array[i]);
            }
            code = planned == Planned::Kept
                       ? SPI_execute_plan(kept_plan(text, static_cast<int>(count), type_array), values, nulls,
                                          read_only, 0)
                       : SPI_execute_with_args(text, static_cast<int>(count), type_array, values, nulls, read_only, 0);
        }
        if (code < 0)
            elog(ERROR, "statement failed in the server programming interface: %s", SPI_result_code_string(code));
        out.processed = SPI_processed;
        SPITupleTable *table = SPI_tuptable;
        if (table != nullptr) {
            out.rows = table->numvals;
            out.columns = table->tupdesc->natts;
            out.values = static_cast<char **>(
                MemoryContextAllocHuge(CurrentMemoryContext, sizeof(char *) * (out.rows * out.columns + 1)));
            for (uint64_t row = 0; row < out.rows; ++row)
                for (int column = 0; column < out.columns; ++column)
                    out.values[row * out.columns + column] = SPI_getvalue(table->vals[row], table->tupdesc, column + 1);
        }
        return out;
    });

    Result result;
    result.processed = cells.processed;
    result.rows.reserve(cells.rows);
    for (uint64_t row = 0; row < cells.rows; ++row) {
        Row &out = result.rows.emplace_back();
        out.reserve(cells.columns);
        for (int column = 0; column < cells.columns; ++column) {
            char *value = cells.values[row * cells.columns + column];
            if (value == nullptr) {
                out.emplace_back();
            } else {
                out.emplace_back(value);
                pfree(value);
            }
        }
    }
    if (cells.values != nullptr) {
        pfree(cells.values);
        SPI_freetuptable(SPI_tuptable);
    }
    return result;
}

Text Spi::value(const std::string &sql, const std::vector<Text> &parameters, Planned planned) {
    Result result = query(sql, parameters, planned);
    if (result.rows.empty() || result.rows.front().empty())
        return {};
    return result.rows.front().front();
}

Oid oid_of(const Text &value) {
    return value ? static_cast<Oid>(std::stoul(*value)) : InvalidOid;
}

std::string quote_name(const std::string &name) {
    const char *text = name.c_str();
    // Statements are compared with what they were: the session's quote_all_identifiers must not change them.
    const struct Unquoted {
        bool saved = std::exchange(quote_all_identifiers, false);
        ~Unquoted() { quote_all_identifiers = saved; }
    } unquoted;
    return call([=] { return quote_identifier(text); });
}

std::string quote_value(const std::string &value) {
    const char *text = value.c_str();
    return call([=] { return quote_literal_cstr(text); });
}

} // namespace wc::pg
