# Incremental refreshes under random writes and clocks, on the platform's database: see WhiteCross::Oracle.

use strict;
use warnings;

use WhiteCross::Oracle;

consult('platform');
