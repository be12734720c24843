#ifndef UNITS_H
#define UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"

/* Numbers with units, as people write and read them. All parsers refuse empty
 * text, signs, blanks, unknown units and what does not fit. */

enum { UNIT_TEXT_MAX = 64 }; /* bytes of a printed quantity, with the NUL */

/** "250us" "50ms" "2s" "1.5s" "1m" "2h"; "0" needs no unit. Up to a year. */
MUST_USE bool unit_duration(const char *text, uint64_t *ns);

/** "64" "64KiB" "16MiB" "1GiB", also "64K" "16M" "1G". Up to 1 TiB. */
MUST_USE bool unit_size(const char *text, uint64_t *bytes);

/** "2000/s" "120/m" "2000": per second, 1 at least, 10,000,000 at most. */
MUST_USE bool unit_rate(const char *text, uint64_t *per_s);

/** "1%" "0.5%": parts of a million. */
MUST_USE bool unit_percent(const char *text, uint64_t *ppm);

/** "1000000"; at most 10^15. */
MUST_USE bool unit_count(const char *text, uint64_t *n);

/* "96 us", "3.9 ms", "1.24 s", "2m 11s", "3h 4m", "5d 2h". Each writes
 * UNIT_TEXT_MAX bytes at most and returns `text`. */
const char *unit_ns(uint64_t ns, char *text);
/** Whole seconds and up: "3s", "2m 11s". */
const char *unit_age_ms(uint64_t ms, char *text);
/** "64 B", "3.1 KiB", "16 MiB". */
const char *unit_bytes(uint64_t bytes, char *text);

#endif
