# Incremental refreshes under random writes and clocks, on the reference database: see WhiteCross::Oracle.

use strict;
use warnings;

use WhiteCross::Oracle;

consult('reference');
