// A question: a text and values for its parameters, and what of it names its entry.
#include "cache/question.hpp"

#include "cache/memo.hpp"
#include "cache/permissions.hpp"
#include "cache/settings_seen.hpp"
#include "cache/store.hpp"
#include "pg/compat.hpp"

extern "C" {
#include "access/transam.h"
#include "access/tupmacs.h"
#include "utils/datum.h"
}

namespace wc::cache {

namespace {

// Whether what an input function has raised is about the value that it was given. All else is told as it is: a cancel,
// no memory or other resources, a fault of the system or the server.
bool is_about_value(const pg::Error &error) {
    if (error.ends_statement())
        return false;
    const std::string state = pg::sqlstate_text(error.sqlstate());
    static constexpr std::string_view others[] = {"53", "54", "57", "58", "XX"};
    for (const auto one : others)
        if (state.compare(0, 2, one) == 0)
            return false;
    return true;
}

// The bytes that a value is made of, by which two values differ. Plain server code.
void append_image(StringInfo out, const memo::Parameter &parameter, const ParamExternData &value) {
    appendStringInfoChar(out, value.isnull ? '\0' : '\1');
    if (value.isnull)
        return;
    uint64 length = 0;
    const void *bytes = nullptr;
    Datum stored = value.value;
    if (parameter.by_value) {
        store_att_byval(&stored, value.value, parameter.length);
        bytes = &stored;
        length = static_cast<uint64>(parameter.length);
    } else if (parameter.length == -1) {
        const auto *packed = PG_DETOAST_DATUM_PACKED(value.value);
        bytes = VARDATA_ANY(packed);
        length = VARSIZE_ANY_EXHDR(packed);
    } else {
        bytes = DatumGetPointer(value.value);
        length = parameter.length == -2 ? strlen(DatumGetCString(value.value)) : static_cast<uint64>(parameter.length);
    }
    appendBinaryStringInfo(out, reinterpret_cast<const char *>(&length), sizeof(length));
    appendBinaryStringInfo(out, static_cast<const char *>(bytes), static_cast<int>(length));
}

} // namespace

Question Question::ask(std::string_view text, int count, Memory memory) {
    const bool remember = memory == Memory::Use && secret::made() && !RecoveryInProgress();
    memo::Entry *entry = memo::take(text, count, remember);
    return Question(entry);
}

Question::Question(memo::Entry *entry) noexcept : entry_(entry), facts_(entry->facts) {}

Question::Question(Question &&other) noexcept
    : entry_(std::exchange(other.entry_, nullptr)), facts_(std::move(other.facts_)) {}

Question::~Question() {
    if (entry_ != nullptr)
        memo::release(entry_);
}

SPIPlanPtr Question::plan() const noexcept {
    return entry_->plan;
}

CachedPlanSource *Question::source() const noexcept {
    return entry_->source;
}

TupleDesc Question::row() const noexcept {
    return entry_->source->resultDesc;
}

std::optional<Refusal> Question::refusal() const noexcept {
    return facts_->refusal;
}

std::optional<Refusal> Question::refusal_as_json() const noexcept {
    if (!facts_->refusal && !facts_->prints_alike)
        return Refusal::ObjectIdentifier;
    return facts_->refusal;
}

uint64 Question::query_id() const noexcept {
    return facts_->query_id;
}

const char *Question::text() const noexcept {
    return entry_->text.c_str();
}

const std::vector<Oid> &Question::tables() const noexcept {
    return facts_->tables;
}

bool Question::calls_own_functions() const noexcept {
    return !facts_->functions.empty() && facts_->functions.back() >= FirstNormalObjectId;
}

const std::vector<uint32> &Question::cells() const noexcept {
    return facts_->cells;
}

ParamListInfo Question::bind(const char *const *texts) const {
    const int count = entry_->count;
    if (count == 0)
        return nullptr;
    memo::Parameter *const parameters = entry_->parameters;
    volatile int at = 0; // which one, should it fail
    volatile int *const current = &at;
    try {
        return pg::call([=] {
            ParamListInfo values = makeParamList(count);
            for (int i = 0; i < count; ++i) {
                *current = i;
                memo::Parameter &parameter = parameters[i];
                ParamExternData &value = values->params[i];
                value.ptype = parameter.type;
                value.pflags = PARAM_FLAG_CONST;
                value.isnull = texts[i] == nullptr;
                value.value =
                    InputFunctionCall(&parameter.input, const_cast<char *>(texts[i]), parameter.io_parameter, -1);
            }
            return values;
        });
    } catch (const pg::Error &error) {
        if (!is_about_value(error))
            throw;
        const Oid type = parameters[at].type;
        const char *const name = pg::call([=] { return format_type_be(type); });
        throw pg::Error(error.sqlstate(),
                        "parameter $" + std::to_string(at + 1) + " is no valid value of type " + std::string(name));
    }
}

void Question::check_permissions() const {
    while (!entry_->current) // what a value's input function has run may have made the server look again
        memo::refresh(*entry_);
    check_tables(entry_->facts->checked);
}

Digest Question::digest(ParamListInfo values, Shape shape, std::string_view form) const {
    const memo::Parameter *const parameters = entry_->parameters;
    const StringInfo image = pg::call([=] {
        StringInfo out = makeStringInfo();
        for (int i = 0; values != nullptr && i < values->numParams; ++i)
            append_image(out, parameters[i], values->params[i]);
        return out;
    });
    std::string settings;
    append_settings(settings);
    const std::vector<Oid> not_callable = forbidden(facts_->functions);
    const std::string_view parts[] = {
        {reinterpret_cast<const char *>(facts_->code.data()), facts_->code.size()},
        {reinterpret_cast<const char *>(&shape), sizeof(shape)},
        form,
        settings,
        {reinterpret_cast<const char *>(not_callable.data()), not_callable.size() * sizeof(Oid)},
        {image->data, static_cast<size_t>(image->len)},
    };
    const Digest digest = {secret::code_of("entry", parts, std::size(parts))};
    pfree(image->data);
    pfree(image);
    return digest;
}

} // namespace wc::cache
