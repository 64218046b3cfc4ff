// Arguments and results of SQL-callable functions.
#include "pg/function.hpp"

extern "C" {
#include "utils/array.h"
}

namespace wc::pg {

MemoryContext ResultMemory::current_ = nullptr;

Text text_argument(FunctionCallInfo fcinfo, int index) {
    if (PG_ARGISNULL(index))
        return {};
    const Datum value = PG_GETARG_DATUM(index);
    char *characters = call([=] { return text_to_cstring(DatumGetTextPP(value)); });
    std::string copy(characters);
    pfree(characters);
    return copy;
}

std::optional<int> int_argument(FunctionCallInfo fcinfo, int index) {
    if (PG_ARGISNULL(index))
        return {};
    return PG_GETARG_INT32(index);
}

std::optional<bool> bool_argument(FunctionCallInfo fcinfo, int index) {
    if (PG_ARGISNULL(index))
        return {};
    return PG_GETARG_BOOL(index);
}

Text argument_as_text(FunctionCallInfo fcinfo, int index) {
    if (PG_ARGISNULL(index))
        return {};
    const char *characters = call([=] {
        Oid output;
        bool varlena;
        getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, index), &output, &varlena);
        return OidOutputFunctionCall(output, PG_GETARG_DATUM(index));
    });
    return std::string(characters);
}

std::vector<std::string> required_texts(FunctionCallInfo fcinfo, int index, const char *argument) {
    struct Elements {
        char **values = nullptr; // a NULL where there is one
        int count = 0;
        int dimensions = 0;
    };
    Elements elements;
    if (!PG_ARGISNULL(index))
        elements = call([=] {
            Elements out;
            ArrayType *array = PG_GETARG_ARRAYTYPE_P(index);
            Datum *datums;
            bool *nulls;
            deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &datums, &nulls, &out.count);
            out.dimensions = ARR_NDIM(array);
            out.values = static_cast<char **>(palloc0(sizeof(char *) * (out.count + 1)));
            for (int i = 0; i < out.count; ++i)
                if (!nulls[i])
                    out.values[i] = TextDatumGetCString(datums[i]);
            return out;
        });
    std::vector<std::string> texts;
    bool null = PG_ARGISNULL(index);
    for (int i = 0; i < elements.count; ++i) {
        null = null || elements.values[i] == nullptr;
        if (!null)
            texts.emplace_back(elements.values[i]);
    }
    if (null)
        throw Error(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string(argument) + " must not be null", {},
                    std::string("Give a value for ") + argument + ".");
    if (elements.dimensions > 1)
        throw Error(ERRCODE_INVALID_PARAMETER_VALUE, std::string(argument) + " must be a plain list", {},
                    "Give an array of texts, not of arrays.");
    return texts;
}

std::string required_text(FunctionCallInfo fcinfo, int index, const char *argument) {
    Text value = text_argument(fcinfo, index);
    if (!value)
        throw Error(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string(argument) + " must not be null", {},
                    std::string("Give a value for ") + argument + ".");
    return *value;
}

Datum return_text(FunctionCallInfo fcinfo, const Text &value) {
    if (!value)
        return return_null(fcinfo);
    const char *characters = value->c_str();
    MemoryContext const memory = ResultMemory::current();
    return call([=] {
        MemoryContext const caller = MemoryContextSwitchTo(memory);
        const Datum datum = CStringGetTextDatum(characters);
        MemoryContextSwitchTo(caller);
        return datum;
    });
}

ResultSet::ResultSet(FunctionCallInfo fcinfo) : fcinfo_(fcinfo) {
    input_ = call([=] {
        InitMaterializedSRF(fcinfo, 0);
        auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
        return TupleDescGetAttInMetadata(info->setDesc);
    });
    memory_ = call([] { return AllocSetContextCreate(CurrentMemoryContext, "whitecross row", ALLOCSET_SMALL_SIZES); });
}

void ResultSet::add(const Row &row) {
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo_->resultinfo);
    if (static_cast<int>(row.size()) != info->setDesc->natts)
        throw std::logic_error("row width differs from the function's result");
    std::vector<char *> values(row.size());
    for (size_t i = 0; i < row.size(); ++i)
        values[i] = row[i] ? const_cast<char *>(row[i]->c_str()) : nullptr;
    char **const array = values.data();
    AttInMetadata *const input = input_;
    MemoryContext const memory = memory_;
    call([=] {
        MemoryContext const caller = MemoryContextSwitchTo(memory);
        HeapTuple tuple = BuildTupleFromCStrings(input, array);
        tuplestore_puttuple(info->setResult, tuple);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(memory);
    });
}

void ResultSet::add(Datum *values, bool *nulls, int count) {
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo_->resultinfo);
    if (count != info->setDesc->natts)
        throw std::logic_error("row width differs from the function's result");
    call([=] { tuplestore_putvalues(info->setResult, info->setDesc, values, nulls); });
}

Datum ResultSet::done() {
    MemoryContextDelete(memory_);
    memory_ = nullptr;
    return static_cast<Datum>(0);
}

} // namespace wc::pg
