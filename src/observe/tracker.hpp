// Tells each execution of a statement, once it has ended, to what counts, remembers and suspects.
#pragma once

namespace wc::observe::tracker {

// Subscribes to the hooks. Called while the server loads the library.
void init();

} // namespace wc::observe::tracker
