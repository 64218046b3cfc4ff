// Whether something that fails is to be tried again yet.
#include "core/breaker.hpp"

#include <algorithm>

namespace wc::core::breaker {

namespace {

void open(Breaker &breaker, std::int64_t now, std::int64_t rest_ms) noexcept {
    breaker.state = Breaker::State::Open;
    breaker.failures = 0;
    breaker.rest_ms = std::min(rest_ms, most_rest_ms);
    breaker.until = now + breaker.rest_ms;
    ++breaker.turn; // what began before has no say any more
}

} // namespace

Leave ask(Breaker &breaker, std::int64_t now, std::int64_t lease_ms) noexcept {
    if (breaker.state == Breaker::State::Closed)
        return {true, false, breaker.turn};
    if (now < breaker.until)
        return {};
    breaker.state = Breaker::State::Probing;
    breaker.until = now + lease_ms;
    return {true, true, ++breaker.turn};
}

void succeeded(Breaker &breaker, const Leave &leave) noexcept {
    if (!leave.given || leave.turn != breaker.turn)
        return;
    breaker.state = Breaker::State::Closed;
    breaker.failures = 0;
    breaker.rest_ms = 0;
}

void failed(Breaker &breaker, const Leave &leave, std::int64_t now, bool costly) noexcept {
    if (!leave.given || leave.turn != breaker.turn)
        return;
    if (leave.probe && breaker.state == Breaker::State::Probing)
        open(breaker, now, breaker.rest_ms * 2);
    else if (costly || ++breaker.failures >= failures_to_open)
        open(breaker, now, first_rest_ms);
}

Breaker::State shown(const Breaker &breaker, std::int64_t now) noexcept {
    if (breaker.state == Breaker::State::Open && now >= breaker.until)
        return Breaker::State::Probing;
    return breaker.state;
}

} // namespace wc::core::breaker
