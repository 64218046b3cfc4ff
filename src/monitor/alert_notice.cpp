// In a visitor: NOTIFY wc_alert, for whoever listens in the database.
#include "monitor/alert_notice.hpp"

#include "monitor/alerts.hpp"
#include "observe/shown.hpp"
#include "pg/worker.hpp"

extern "C" {
#include "commands/async.h"
}

namespace wc::monitor::alerts {

std::string notify_listeners(std::string_view) {
    const std::vector<Told> untold = for_database(MyDatabaseId);
    if (untold.empty())
        return {};
    // Or a synchronous standby that is away would hold it up.
    pg::call([] { SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION); });
    const auto failure = pg::transaction([&] {
        const std::string here = observe::shown::database(MyDatabaseId).value_or("");
        for (const Told &told : untold) {
            const std::string text = json(told, OidIsValid(told.reading.database) ? here : "");
            const char *const payload = text.c_str();
            pg::call([=] { Async_Notify("wc_alert", payload); });
        }
    });
    if (failure)
        throw *failure;
    notified(MyDatabaseId, untold.back().number);
    return {};
}

} // namespace wc::monitor::alerts
